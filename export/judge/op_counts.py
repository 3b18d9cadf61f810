"""Multiply-accumulates and weight tensors, counted in the file itself; a flag or a file name proves nothing.

A multiply-accumulate counts as 8-bit where a runtime's integer kernel takes it. 8-bit weights that the graph turns into floats
first do not count. A TFLite operator that takes 8-bit weights beside float data quantizes the data as it comes ("dynamic range",
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization): it counts, unless the file was to be
static, with ranges from calibration; there it is a layer that the converter has left out. 16-bit data never count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edge.manifest import INT8_MAC_SHARE_MIN, Format, Precision, WeightTensors

_EIGHT_BIT = frozenset({"int8", "uint8"})
_SIXTEEN_BIT = frozenset({"float16", "bfloat16"})


@dataclass(frozen=True, slots=True)
class Product:
    """One operator that multiplies and accumulates: a convolution or a matrix product, in one call.

    ``weight_dtype`` and ``weight_elements`` are of the constant as stored; None and 0 where both operands are computed.
    """

    macs: int
    integer: bool
    weight_name: str | None
    weight_dtype: str | None
    weight_elements: int


@dataclass(frozen=True, slots=True)
class Counts:
    """``macs`` for one picture; ``int8_mac_share`` of them in 8-bit kernels, in [0, 1]."""

    macs: int
    int8_mac_share: float
    weights: WeightTensors
    precision: Precision


def count(path: Path, file_format: Format, input_shape: Sequence[int], *, static: bool = False) -> Counts:
    """Count in a file that was found valid before.

    ``input_shape``: of one call, the batch first; it fills what the file leaves open. ``static``: whether all data were to be 8-bit.
    """
    products = _onnx_products(path, input_shape) if file_format == "onnx" else _tflite_products(path, static=static)
    return summarise(products, input_shape[0])


def summarise(products: Iterable[Product], batch: int = 1) -> Counts:
    """Add up for one picture of ``batch``; a weight that several operators share counts once."""
    products = list(products)
    total = sum(p.macs for p in products)
    macs = total // batch
    share = sum(p.macs for p in products if p.integer) / total if total else 0.0
    stored = {p.weight_name: (p.weight_dtype, p.weight_elements) for p in products if p.weight_name is not None}
    eight = [n for dtype, n in stored.values() if dtype in _EIGHT_BIT]
    elements = sum(n for _, n in stored.values())
    half = sum(n for dtype, n in stored.values() if dtype in _SIXTEEN_BIT)
    weights = WeightTensors(tensors_8bit=len(eight), tensors=len(stored), elements_8bit=sum(eight), elements=elements)
    return Counts(macs, share, weights, _precision(share, 2 * half > elements))


def _precision(share: float, mostly_half: bool) -> Precision:
    if share >= INT8_MAC_SHARE_MIN:
        return "int8"
    if share > 0:
        return "mixed"
    return "fp16" if mostly_half else "fp32"


def _tflite_products(path: Path, *, static: bool = False) -> Iterable[Product]:
    from edge.backends.tflite import open_interpreter

    interpreter = open_interpreter(path.read_bytes(), 1)
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]
    producer = {int(index): op for op in ops for index in op["outputs"]}
    fed = {detail["index"] for detail in interpreter.get_input_details()}
    data_dtypes = _EIGHT_BIT if static else _EIGHT_BIT | {"float32"}
    for op in ops:
        operands = _TFLITE_OPERANDS.get(op["op_name"])
        if operands is None:
            continue
        data, weight = (tensors[int(op["inputs"][position])] for position in operands)
        made_by = producer.get(weight["index"])
        stored = weight
        if made_by is not None and made_by["op_name"] == "DEQUANTIZE":
            stored = tensors[int(made_by["inputs"][0])]
        constant = stored["index"] not in producer and stored["index"] not in fed
        out = tensors[int(op["outputs"][0])]["shape"]
        yield Product(
            macs=_tflite_macs(op["op_name"], data["shape"], weight["shape"], out),
            integer=_dtype(weight) in _EIGHT_BIT and _dtype(data) in data_dtypes,
            weight_name=str(stored["index"]) if constant else None,
            weight_dtype=_dtype(stored) if constant else None,
            weight_elements=prod(map(int, stored["shape"])) if constant else 0,
        )


_TFLITE_OPERANDS = {
    "CONV_2D": (0, 1),
    "DEPTHWISE_CONV_2D": (0, 1),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
    "BATCH_MATMUL": (0, 1),
}
"""Positions of data and weight among an operator's inputs, as in the runtime's kernels (tensorflow/lite/kernels)."""


def _tflite_macs(op: str, data: Any, weight: Any, out: Any) -> int:
    """Weights are O×H×W×I, depthwise 1×H×W×O, fully connected O×I."""
    if op == "CONV_2D":
        return prod(map(int, out)) * prod(map(int, weight[1:]))
    if op == "DEPTHWISE_CONV_2D":
        return prod(map(int, out)) * prod(map(int, weight[1:3]))
    if op == "TRANSPOSE_CONV":
        return prod(map(int, data)) * prod(map(int, weight[:3]))
    return prod(map(int, out)) * int(weight[-1] if op == "FULLY_CONNECTED" else data[-1])


def _dtype(detail: dict[str, Any]) -> str:
    return str(np.dtype(detail["dtype"]).name)


def _onnx_products(path: Path, input_shape: Sequence[int]) -> Iterable[Product]:
    import onnx

    from export.judge.onnx_graph import OnnxGraph

    graph = OnnxGraph(onnx.load(path, load_external_data=False), input_shape)
    for node in graph.nodes:
        operands = graph.operands(node)
        if operands is None:
            continue
        data, weight = operands
        stored = graph.stored(weight)
        yield Product(
            macs=graph.macs(node, data, weight),
            integer=graph.is_integer(node, data, weight),
            weight_name=stored.name if stored is not None else None,
            weight_dtype=graph.dtype(stored) if stored is not None else None,
            weight_elements=prod(stored.dims) if stored is not None else 0,
        )
