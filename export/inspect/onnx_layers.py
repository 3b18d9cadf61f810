"""Layers of an ONNX graph. Quantize and dequantize nodes are no layers: they say how the layer between them is quantized."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from export.inspect.description import Affine, Layer, affine
from export.judge.onnx_graph import OnnxGraph

QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_NO_LAYER = QUANTIZERS | {"Constant"}
_ACTIVATIONS = frozenset({"Relu", "Clip"})
_OWN_PARAMETERS = {  # integer operators carry scale and zero point: positions for data, weight and output
    "QLinearConv": (1, 4, 6),
    "QLinearMatMul": (1, 4, 6),
    "QGemm": (1, 4, 7),
}
_WEIGHT_AXIS = {"QLinearConv": 0, "QLinearMatMul": 1, "QGemm": 0}
_SUFFIXES = ("_quantized", ".weight", "_weight")


class LayerGraph(OnnxGraph):
    """A graph that can be listed."""

    def __init__(self, model: Any, input_shape: Sequence[int]) -> None:
        """As ``OnnxGraph``, the batch first in ``input_shape``; keeps the element types that shape inference found."""
        super().__init__(model, input_shape)
        inferred = self._onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self._types = {
            value.name: int(value.type.tensor_type.elem_type)
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        } | {name: int(tensor.data_type) for name, tensor in self._constants.items()}
        self._batch = input_shape[0]
        self._counted: set[str] = set()

    def layers(self) -> list[Layer]:
        """In the order of the file, which is an order in which they can run."""
        nodes = [node for node in self.nodes if node.op_type not in _NO_LAYER]
        return [self._layer(index, node) for index, node in enumerate(nodes)]

    def quantizers(self) -> int:
        """How many quantize and dequantize nodes there are."""
        return sum(node.op_type in QUANTIZERS for node in self.nodes)

    def _layer(self, index: int, node: Any) -> Layer:
        operands = self.operands(node)
        stored = self.stored(operands[1]) if operands else None
        data = operands[0] if operands else next((name for name in node.input if name not in self._constants), "")
        output = node.output[0]
        shape = self._shapes.get(output)
        return Layer(
            index=index,
            name=_plain_name(stored.name) if stored is not None else node.name or output,
            operator=node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}",
            output_shape=() if shape is None else tuple(shape),
            weight_bytes=sum(map(self._bytes_once, node.input)),
            macs=self.macs(node, *operands) // self._batch if operands else 0,
            integer=self.is_integer(node, *operands) if operands else None,
            weight_name=stored.name if stored is not None else None,
            input_dtype=self._dtype_of(self._before_dequantize(data)),
            weight_dtype=self.dtype(stored) if stored is not None else None,
            output_dtype=self._dtype_of(self._after_quantize(output)),
            input_quantization=self._quantization(node, data, 0),
            weight_quantization=self._quantization(node, operands[1], 1) if operands else None,
            output_quantization=self._output_quantization(node),
        )

    def _bytes_once(self, name: str) -> int:
        """Of the constant behind ``name``, the first time that a layer reads it."""
        tensor = self.stored(name) if name else None
        if tensor is None or tensor.name in self._counted:
            return 0
        self._counted.add(tensor.name)
        item_bytes = int(self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
        return len(tensor.raw_data) or prod(tensor.dims) * item_bytes

    def _dtype_of(self, name: str) -> str | None:
        """numpy's name of a tensor's element type; None where it is not known."""
        if not self._types.get(name):
            return None
        return str(self._onnx.helper.tensor_dtype_to_np_dtype(self._types[name]).name)

    def _before_dequantize(self, name: str) -> str:
        node = self._producer.get(name)
        return str(node.input[0]) if node is not None and node.op_type == "DequantizeLinear" else name

    def _quantizer_behind(self, name: str) -> Any | None:
        """The one kind of reader of ``name``, if that is a QuantizeLinear, perhaps behind an activation that the runtime fuses."""
        readers = self._readers.get(name, [])
        if len(readers) == 1 and readers[0].op_type in _ACTIVATIONS:
            readers = self._readers.get(readers[0].output[0], [])
        quantizers = [reader for reader in readers if reader.op_type == "QuantizeLinear"]
        return quantizers[0] if quantizers and len(quantizers) == len(readers) else None

    def _after_quantize(self, name: str) -> str:
        node = self._quantizer_behind(name)
        return str(node.output[0]) if node is not None else name

    def _quantization(self, node: Any, name: str, operand: int) -> Affine | None:
        """Of what ``node`` reads: of a DequantizeLinear before it, or among its own inputs."""
        own = _OWN_PARAMETERS.get(node.op_type)
        if own is not None:
            return self._affine(node, own[operand], _WEIGHT_AXIS[node.op_type])
        before = self._producer.get(name)
        return self._affine(before, 1, _axis(before)) if before is not None and before.op_type == "DequantizeLinear" else None

    def _output_quantization(self, node: Any) -> Affine | None:
        own = _OWN_PARAMETERS.get(node.op_type)
        if own is not None:
            return self._affine(node, own[2], 0)
        behind = self._quantizer_behind(node.output[0])
        return None if behind is None else self._affine(behind, 1, _axis(behind))

    def _affine(self, node: Any, position: int, axis: int) -> Affine | None:
        """Scale at ``position`` of the inputs and the zero point after it; None if they are computed, or absent."""
        names = list(node.input[position : position + 2])
        constants = [self.stored(name) for name in names if name]
        if not constants or any(tensor is None for tensor in constants):
            return None
        values = [self._onnx.numpy_helper.to_array(tensor) for tensor in constants]
        return affine(values[0], values[1] if len(values) > 1 else np.zeros(1), axis)


def _axis(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 1)


def _plain_name(weight: str) -> str:
    """The layer that a weight belongs to: what exporters and quantizers add is cut off."""
    name = weight
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name or weight
