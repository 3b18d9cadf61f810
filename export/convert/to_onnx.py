"""PyTorch → ONNX, and the front and end that every ONNX candidate gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from edge.manifest import TaskName
from export.convert.core import INPUT_NAME, PIXEL_GRID, Core
from export.convert.quiet import quiet
from export.convert.refusals import explained
from export.load.model import FloatModel
from export.tasks import DEFAULT_TASK, task_of

OPSET = 18
IR_VERSION = 10  # the newest that ONNX Runtime 1.20 reads; older devices keep working
CORE_INPUT = "grid"
CORE_OUTPUT = "logits"


def core_to_onnx(model: FloatModel) -> Any:
    """The core as an ``onnx.ModelProto``: ``grid`` N×3×H×W float32 → ``logits`` N×C float32, N left open.

    Raises:
        DataError: an operator cannot be converted; names it, its layer and what would do instead.
    """
    core = Core(model).eval()
    example = torch.zeros(2, 3, *model.size_hw_px)  # not 1: the exporter would take it for a constant
    with quiet(), explained("ONNX", core, example):
        program = torch.onnx.export(
            core,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[CORE_INPUT],
            output_names=[CORE_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            external_data=False,
            verbose=False,
        )
    proto = program.model_proto
    proto.ir_version = IR_VERSION
    _multiply_instead_of_dividing(proto.graph)
    return proto


def _multiply_instead_of_dividing(graph: Any) -> None:
    """Turn divisions by a constant into products. ONNX Runtime has an 8-bit kernel for products and none for divisions, and a hard
    swish ends in a division by 6: a quantized MobileNetV3 would leave the integers 29 times (14.6 instead of 11.3 ms on one x86)."""
    constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    divisors = set()
    for node in graph.node:
        divisor = (
            numpy_helper.to_array(constants[node.input[1]]) if node.op_type == "Div" and node.input[1] in constants else None
        )
        if divisor is None or not divisor.all():
            continue
        name = f"{node.input[1]}_inverse"
        if name not in constants:
            graph.initializer.append(numpy_helper.from_array((1 / divisor).astype(np.float32), name))
            constants[name] = graph.initializer[-1]
        divisors.add(node.input[1])
        node.op_type, node.input[1] = "Mul", name
    used = {name for node in graph.node for name in node.input}
    for name in divisors - used:
        graph.initializer.remove(constants[name])


def add_camera_io(core: Any, task: TaskName = DEFAULT_TASK) -> Any:
    """A copy of a float or quantized core that takes ``image`` N×H×W×3 uint8 RGB and gives the output of its task, N×C float32.

    Front: transpose the bytes, then dequantize on the pixel grid. A quantized core starts with the very quantization that the
    dequantization would undo, so there both fall away and the transposed bytes are the quantized tensor.
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    graph = model.graph
    channels, height, width = (dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim[1:])
    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    stored = helper.make_node("Transpose", [INPUT_NAME], ["stored_pixels"], name="to_nchw", perm=[0, 3, 1, 2])
    found = task_of(task)
    front = [stored, *_enter_core(graph)]
    nodes = [*front, *graph.node, *found.onnx_end(CORE_OUTPUT)]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, ["N", height, width, channels]))
    graph.output.append(helper.make_tensor_value_info(found.output_name, TensorProto.FLOAT, ["N", classes]))
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _enter_core(graph: Any) -> list[Any]:
    """Connect ``stored_pixels`` to the core: rename it in the quantized one, dequantize it for the float one."""
    readers = [node for node in graph.node if CORE_INPUT in node.input]
    if len(readers) == 1 and readers[0].op_type == "QuantizeLinear":
        quantize = readers[0]
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        scale, zero_point = (constants[name] for name in quantize.input[1:3])
        if not np.isclose(scale, PIXEL_GRID.scale, rtol=1e-6) or zero_point != PIXEL_GRID.zero_point:
            raise ValueError(f"the core's input is quantized by {scale} around {zero_point}, not on the pixel grid")
        for node in graph.node:
            for position, name in enumerate(node.input):
                if name == quantize.output[0]:
                    node.input[position] = "stored_pixels"
        graph.node.remove(quantize)
        return []
    scale = np.asarray(PIXEL_GRID.scale, dtype=np.float32)
    graph.initializer.append(numpy_helper.from_array(scale, "pixel_scale"))
    graph.initializer.append(numpy_helper.from_array(np.asarray(PIXEL_GRID.zero_point, dtype=np.uint8), "pixel_zero_point"))
    inputs = ["stored_pixels", "pixel_scale", "pixel_zero_point"]
    return [helper.make_node("DequantizeLinear", inputs, [CORE_INPUT], name="to_grid")]


def _strip(model: Any) -> None:
    """Drop what only the exporter's debugger reads: shapes that runtimes infer anew, and stack traces with this machine's paths."""
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for tensor in graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
