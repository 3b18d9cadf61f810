"""ONNX cores with weights of 16 bits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.convert.quiet import quiet

_FEW = 256  # elements below which a constant is not worth its Cast


def to_float16(core: Any) -> Any:
    """A copy of a float core (an ``onnx.ModelProto``) that stores and computes in float16; its input and output stay float32.

    A CPU without float16 kernels computes in float32: ONNX Runtime then puts casts around its operators.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.ModelProto()
    model.CopyFrom(core)
    with quiet():  # warns of every weight that is too small for float16
        half = convert_float_to_float16(model, keep_io_types=True)
    _sort(half.graph)
    return half


def to_bfloat16_weights(core: Any) -> Any:
    """A copy of a float core that stores its larger weights as bfloat16 and casts them back: it computes in float32.

    ONNX Runtime's CPU kernels compute nothing in bfloat16, but they cast it; the casts of constants run once, while the file is
    loaded. So the file is half as long and not faster.
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _FEW:
            continue
        name = tensor.name
        stored = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
        tensor.CopyFrom(numpy_helper.from_array(stored, f"{name}_bf16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}_to_float", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _sort(graph: Any) -> None:
    """Put makers before readers, else in order: the converter leaves the casts of inputs at the end, where no checker wants them."""
    made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    waiting, ready = list(graph.node), []
    while waiting:
        later = []
        for node in waiting:
            if made.issuperset(node.input):
                ready.append(node)
                made.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ValueError(f"a graph with a circle at {waiting[0].name}")
        waiting = later
    del graph.node[:]
    graph.node.extend(ready)
