"""Layers of a TFLite file, as the installed runtime lists them."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edge.backends.tflite import open_interpreter
from export.inspect.description import Affine, Layer, affine
from export.judge import op_counts

_DELEGATE = "DELEGATE"  # what the runtime adds for operators that it hands on; the operators themselves are listed too


class TfliteLayers:
    """Reads a file that was found valid before. An operator that only turns a stored weight into floats is no layer: the weight
    counts with the layer that reads it."""

    def __init__(self, path: Path, batch: int) -> None:
        """``batch``: pictures in one call of the file."""
        interpreter = open_interpreter(path.read_bytes(), 1)
        self._batch = batch
        self._tensors = {int(detail["index"]): detail for detail in interpreter.get_tensor_details()}
        ops = [op for op in interpreter._get_ops_details() if op["op_name"] != _DELEGATE]
        fed = {int(detail["index"]) for detail in interpreter.get_input_details()}
        made = fed | {int(number) for op in ops for number in op["outputs"]}
        self._constants = set(self._tensors) - made
        unpacking = [op for op in ops if op["op_name"] == "DEQUANTIZE" and int(op["inputs"][0]) in self._constants]
        self._unpacked = {int(op["outputs"][0]): int(op["inputs"][0]) for op in unpacking}
        self._ops = [op for op in ops if not any(op is other for other in unpacking)]
        self._products = iter(op_counts._tflite_products(path))
        self._counted: set[int] = set()
        self.quantizers = len(unpacking)
        self.layers = [self._layer(index, op) for index, op in enumerate(self._ops)]

    def _layer(self, index: int, op: dict[str, Any]) -> Layer:
        operands = op_counts._TFLITE_OPERANDS.get(op["op_name"])
        product = next(self._products) if operands is not None else None
        inputs = [self._stored(int(number)) for number in op["inputs"] if int(number) in self._tensors]
        data = next((self._tensors[number] for number in inputs if number not in self._constants), None)
        weight = None
        if operands is not None:
            data, weight = (self._tensors[self._stored(int(op["inputs"][position]))] for position in operands)
        output = self._tensors[int(op["outputs"][0])]
        return Layer(
            index=index,
            name=str(output["name"]),
            operator=str(op["op_name"]),
            output_shape=tuple(int(length) for length in output["shape"]),
            weight_bytes=sum(map(self._bytes_once, inputs)),
            macs=product.macs // self._batch if product else 0,
            integer=product.integer if product else None,
            weight_name=str(weight["name"]) if weight is not None and product and product.weight_name else None,
            input_dtype=_dtype(data),
            weight_dtype=_dtype(weight) if product and product.weight_name else None,
            output_dtype=_dtype(output),
            input_quantization=_affine(data),
            weight_quantization=_affine(weight),
            output_quantization=_affine(output),
        )

    def _stored(self, number: int) -> int:
        return self._unpacked.get(number, number)

    def _bytes_once(self, number: int) -> int:
        """Of a constant, the first time that a layer reads it."""
        if number not in self._constants or number in self._counted:
            return 0
        self._counted.add(number)
        detail = self._tensors[number]
        return prod(map(int, detail["shape"])) * int(np.dtype(detail["dtype"]).itemsize)


def _dtype(detail: dict[str, Any] | None) -> str | None:
    return None if detail is None else str(np.dtype(detail["dtype"]).name)


def _affine(detail: dict[str, Any] | None) -> Affine | None:
    if detail is None:
        return None
    parameters = detail["quantization_parameters"]
    return affine(parameters["scales"], parameters["zero_points"], int(parameters["quantized_dimension"]))
