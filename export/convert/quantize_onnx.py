"""Static 8-bit quantization of an ONNX core: unsigned activations, signed weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edge.data import U8Image
from export.convert.core import PIXEL_GRID, to_grid
from export.convert.normalise_rows import normalisation_nodes, normalise_rows
from export.convert.options import QuantizeOptions
from export.convert.ranges import Range, Values, ranges
from export.convert.to_onnx import CORE_INPUT, IR_VERSION
from export.progress import Advance

_FUSED = frozenset({"Relu", "Clip"})
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_CHANNELS: dict[str, Callable[[Sequence[int], dict[str, int]], int]] = {
    "Conv": lambda weight, attributes: weight[1] * attributes.get("group", 1),
    "ConvTranspose": lambda weight, _: weight[0],
    "Gemm": lambda weight, attributes: weight[1 if attributes.get("transB") else 0],
}
"""Operators whose weights ONNX Runtime would quantize by itself → how many channels their data has."""
_NETWORK = "network."  # what the core calls the network that it wraps


def quantize_core(core: Any, images: U8Image, *, options: QuantizeOptions, advance: Advance) -> Any:
    """Quantize and dequantize nodes around every operator of ``core`` (an ``onnx.ModelProto``).

    Args:
        core: from ``core_to_onnx``; not changed.
        images: N×H×W×3 uint8 RGB at the model's size, from ``edge.preprocess``: what the camera will feed.
        options: ``weight_bits`` 7 leaves headroom for the 16-bit sums of x86 CPUs without VNNI, which saturate
            (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range"). What rounds or
            equalises weights has happened to the core already.
        advance: called after each image, in each of ``ranges.passes``.

    Returns:
        An ``onnx.ModelProto`` with the core's input and output. The input is quantized on the pixel grid whatever the images hold.
        The last matrix product's result stays float: rounding logits to 256 steps would make ties.

    Raises:
        ValueError: a layer of ``options.float_layers`` is not in the graph.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData, save_tensors_data
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="shelfcam-") as folder:
        plain, prepared, quantized, cache = (Path(folder) / name for name in ("plain", "prepared", "quantized", "ranges.json"))
        onnx.save(
            normalise_rows(core), plain
        )  # given a ModelProto it would move the weights to a file that it then cannot read back
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared)
        kept = float_nodes(graph, options.float_layers)
        found = _activation_ranges(graph, images, options, advance)
        limits = {name: (np.float32(low), np.float32(high)) for name, (low, high) in found.items()}
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, limits), cache)  # the one door for ranges of one's own
        quantize_static(
            prepared,
            quantized,
            None,
            calibration_cache_path=cache,
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=options.per_channel,
            reduce_range=options.weight_bits == 7,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*kept, *normalisation_nodes(graph)],
            extra_options={
                "ActivationSymmetric": options.symmetric,
                "TensorQuantOverrides": {CORE_INPUT: [_grid_override()]},
                "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
            },
        )
        model = onnx.load(quantized)
    _shield(model, kept)
    model.ir_version = IR_VERSION
    return model


def _shield(model: Any, kept: list[str]) -> None:
    """Make ONNX Runtime leave the ``kept`` nodes in float. Between a dequantized input and a quantized output it would quantize their
    weights by itself, with one scale for the whole tensor (WeightBiasQuantization, since 1.20: worse than what was to be
    repaired), but not behind an input with a scale for each channel; so they get such a one, all of whose scales are the same.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    for node in [node for node in graph.node if node.name in kept and node.op_type in _CHANNELS]:
        before = producers.get(node.input[0])
        if before is None or before.op_type != "DequantizeLinear":
            continue
        channels = _CHANNELS[node.op_type](constants[node.input[1]].shape, {a.name: a.i for a in node.attribute})
        names = [f"{node.name}_{what}" for what in ("scales", "zero_points", "shielded")]
        for name, source in zip(names, before.input[1:3], strict=False):
            graph.initializer.append(numpy_helper.from_array(np.repeat(constants[source].reshape(-1), channels), name))
        apart = onnx.helper.make_node("DequantizeLinear", [before.input[0], *names[:2]], [names[2]], name=names[2], axis=1)
        graph.node.insert(list(graph.node).index(node), apart)
        node.input[0] = names[2]
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] not in read]:
        graph.node.remove(node)


def float_nodes(model: Any, layers: tuple[str, ...]) -> list[str]:
    """Names of the nodes that compute those modules of the network, each with the activation fused behind it.

    The exporter keeps the weights' names; a weight that it had to transpose has lost it, and is found by no module.

    Raises:
        ValueError: no node has a module's weight.
    """
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    names = []
    for layer in layers:
        nodes = [node for node in readers.get(f"{_NETWORK}{layer}.weight", []) if node.op_type in _WEIGHTED]
        if not nodes:
            raise ValueError(f"no operator of the ONNX graph holds the weight of {layer}")
        for node in nodes:
            following = readers.get(node.output[0], [])
            fused = following if len(following) == 1 and following[0].op_type in _FUSED else []
            names += [found.name for found in (node, *fused)]
    return names


def _activation_ranges(model: Any, images: U8Image, options: QuantizeOptions, advance: Advance) -> dict[str, Range]:
    """Of the input and of every float tensor that a node makes; a tensor that only an activation reads has the activation's."""
    import onnxruntime

    graph = model.graph
    real = {v.name: v for v in (*graph.value_info, *graph.output) if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = [name for node in graph.node for name in node.output if name in real]
    stand_in = {
        name: readers[name][0].output[0]
        for name in outputs
        if len(readers.get(name, [])) == 1 and readers[name][0].op_type in _FUSED and readers[name][0].output[0] in real
    }
    asked = [name for name in outputs if name not in stand_in]
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(real[name] for name in asked)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(tapped.SerializeToString(), settings, providers=["CPUExecutionProvider"])

    def run() -> Iterator[Values]:
        for image in images:
            pixels = np.ascontiguousarray(to_grid(image[None]).transpose(0, 3, 1, 2))
            yield dict(zip(asked, session.run(asked, {CORE_INPUT: pixels}), strict=True))
            advance()

    found = ranges(run, options.calibration)
    found |= {name: found[other] for name, other in stand_in.items()}
    return found | {CORE_INPUT: (-PIXEL_GRID.zero_point * PIXEL_GRID.scale, (255 - PIXEL_GRID.zero_point) * PIXEL_GRID.scale)}


def _grid_override() -> dict[str, Any]:
    from onnxruntime.quantization import QuantType

    return {
        "quant_type": QuantType.QUInt8,
        "scale": np.array(PIXEL_GRID.scale, dtype=np.float32),
        "zero_point": np.array(PIXEL_GRID.zero_point, dtype=np.uint8),
    }
