"""A loaded ONNX graph with shapes, for counting: who makes a tensor, who reads it, and which constant stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

_EIGHT_BIT = frozenset({"int8", "uint8"})
_OPERANDS = {
    "Conv": (0, 1),
    "ConvTranspose": (0, 1),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "QLinearConv": (0, 3),
    "QLinearMatMul": (0, 3),
    "ConvInteger": (0, 1),
    "MatMulInteger": (0, 1),
    "QGemm": (0, 3),  # com.microsoft
}
_INTEGER = frozenset({"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm"})
_CONSTANT_FOLDED = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Reshape", "Identity"})
_FUSED_BEHIND_CONV = frozenset({"Relu", "Clip"})


class OnnxGraph:
    """``model`` is an ``onnx.ModelProto`` with one input; what its shape leaves open is as in ``input_shape``."""

    def __init__(self, model: Any, input_shape: Sequence[int]) -> None:
        """Infer the shapes; ``model`` is changed."""
        import onnx

        weights = {tensor.name for tensor in model.graph.initializer}  # before IR 4 they were listed as inputs too
        fed = next(value for value in model.graph.input if value.name not in weights)
        for dim, length in zip(fed.type.tensor_type.shape.dim, input_shape, strict=True):
            dim.dim_value = length
        for value in model.graph.output:  # let inference say the batch that follows from it
            value.type.tensor_type.ClearField("shape")
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.nodes = list(graph.node)
        self._onnx = onnx
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._constants |= {
            node.output[0]: attribute.t
            for node in graph.node
            if node.op_type == "Constant"
            for attribute in node.attribute
            if attribute.name == "value"
        }
        self._shapes: dict[str, list[int]] = {
            value.name: [max(dim.dim_value, 1) for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.value_info, *graph.input, *graph.output)
        } | {name: list(tensor.dims) for name, tensor in self._constants.items()}
        self._producer = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._fed = {value.name: value.type.tensor_type.elem_type for value in graph.input}

    def operands(self, node: Any) -> tuple[str, str] | None:
        """The data and the weight that ``node`` multiplies; None for an operator that does not."""
        positions = _OPERANDS.get(node.op_type)
        return None if positions is None else (node.input[positions[0]], node.input[positions[1]])

    def stored(self, name: str) -> Any | None:
        """The constant behind ``name``, through quantization, casts and transposes; None if it is computed."""
        while name not in self._constants:
            node = self._producer.get(name)
            if node is None or node.op_type not in _CONSTANT_FOLDED:
                return None
            name = node.input[0]
        return self._constants[name]

    def dtype(self, tensor: Any) -> str:
        """numpy's name of a constant's type."""
        return str(self._onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name)

    def macs(self, node: Any, data: str, weight: str) -> int:
        """Of one call. Convolution weights are O×I/g×H×W, transposed ones I×O/g×H×W."""
        w: list[int] = self._shapes.get(weight) or self._behind(weight)
        if node.op_type == "ConvTranspose":
            inputs: list[int] = self._shapes.get(data, [0])
            return prod(inputs) * prod(w[1:])
        out: int = prod(self._shapes.get(node.output[0], [0]))
        if node.op_type in ("Conv", "QLinearConv", "ConvInteger"):
            return out * prod(w[1:])
        transposed = node.op_type in ("Gemm", "QGemm") and any(a.name == "transB" and a.i for a in node.attribute)
        return out * (w[-1] if transposed else w[-2] if len(w) > 1 else w[0])

    def is_integer(self, node: Any, data: str, weight: str) -> bool:
        """Whether an 8-bit kernel can take it: integer by name, or between quantize and dequantize nodes."""
        if node.op_type in _INTEGER:
            return True
        if not (self._dequantized(data) and self._dequantized(weight)):
            return False
        return node.op_type not in ("Conv", "ConvTranspose") or self._quantized_after(node.output[0])

    def _behind(self, name: str) -> list[int]:
        tensor = self.stored(name)
        return [0] if tensor is None else list(tensor.dims)

    def _dequantized(self, name: str) -> bool:
        node = self._producer.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            return False
        zero = self._constants.get(node.input[2]) if len(node.input) > 2 else self._constants.get(node.input[0])
        return zero is None or self.dtype(zero) in _EIGHT_BIT

    def _quantized_after(self, name: str) -> bool:
        """Onnxruntime fuses a convolution only where its result is quantized again, perhaps behind its activation."""
        readers = self._readers.get(name, [])
        if len(readers) == 1 and readers[0].op_type in _FUSED_BEHIND_CONV:
            readers = self._readers.get(readers[0].output[0], [])
        return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)
