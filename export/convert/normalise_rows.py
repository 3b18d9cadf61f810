"""The step from the pixel grid to a network's own normalisation, in the form that is quick beside 8-bit convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from export.convert.to_onnx import CORE_INPUT

_NAME = "normalisation_"


def normalise_rows(core: Any) -> Any:
    """A copy of ``core`` (an ``onnx.ModelProto`` from ``core_to_onnx``) that normalises rows of pixels where it normalises at all:
    gain and offset are repeated over W×3 values instead of broadcast over three channels.

    The numbers stay the same. The step is float, as 8 bits would round the picture once more; beside 8-bit convolutions it lies in
    memory channels last, where ONNX Runtime takes long to broadcast three values over every pixel (ADR 0004 has the times).
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    graph = model.graph
    multiply = _only_reader(graph, CORE_INPUT, "Mul")
    add = multiply and _only_reader(graph, multiply.output[0], "Add")
    if not add:
        return model
    constants = {tensor.name: tensor for tensor in graph.initializer}
    gain, offset = (next(constants[name] for name in node.input if name in constants) for node in (multiply, add))
    channels, height, width = (dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim[1:])
    for name, shape in (("rows", [0, height, width * channels]), ("pixels", [0, height, width, channels])):  # 0: N, as it comes
        graph.initializer.append(numpy_helper.from_array(np.asarray(shape, np.int64), f"{_NAME}{name}"))
    for tensor, name in ((gain, "gain"), (offset, "offset")):  # other names: the old ones have their shapes on record
        repeated = np.tile(numpy_helper.to_array(tensor).reshape(channels), width)
        tensor.CopyFrom(numpy_helper.from_array(repeated, f"{_NAME}{name}"))
    chain: list[tuple[str, list[str], dict[str, Any]]] = [
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("Reshape", [f"{_NAME}rows"], {}),
        ("Mul", [gain.name], {}),
        ("Add", [offset.name], {}),
        ("Reshape", [f"{_NAME}pixels"], {}),
        ("Transpose", [], {"perm": [0, 3, 1, 2]}),
    ]
    tensors = [CORE_INPUT, *(f"{_NAME}{position}" for position in range(1, len(chain))), add.output[0]]
    steps = [
        onnx.helper.make_node(operator, [tensors[i], *constant], [tensors[i + 1]], name=f"{_NAME}{operator}_{i}", **attributes)
        for i, (operator, constant, attributes) in enumerate(chain)
    ]
    others = [node for node in graph.node if node is not multiply and node is not add]
    del graph.node[:]
    graph.node.extend([*steps, *others])
    return model


def normalisation_nodes(model: Any) -> list[str]:
    """Names of the nodes that ``normalise_rows`` put into ``model``."""
    return [node.name for node in model.graph.node if node.name.startswith(_NAME)]


def _only_reader(graph: Any, tensor: str, operator: str) -> Any:
    """The node that alone reads ``tensor``, if it is an ``operator``; else None."""
    readers = [node for node in graph.node if tensor in node.input]
    return readers[0] if len(readers) == 1 and readers[0].op_type == operator else None
