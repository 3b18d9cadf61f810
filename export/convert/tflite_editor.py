"""Add tensors and operators to a TFLite graph."""

from __future__ import annotations

from typing import Any

from edge.manifest import InputDtype, Quantization

_TO_UINT8 = 128
"""Zero point of a uint8 tensor less that of the int8 tensor with the same bits but the first."""


class Editor:
    """Adds tensors and operators to the first subgraph of a ``ModelT``."""

    def __init__(self, model: Any, schema: Any) -> None:
        self._model = model
        self._schema = schema
        self.graph = model.subgraphs[0]

    def is_float(self, index: int) -> bool:
        """Whether a tensor is float32."""
        return bool(self.graph.tensors[index].type == self._schema.TensorType.FLOAT32)

    def rename(self, index: int, name: str) -> int:
        """Returns ``index``."""
        self.graph.tensors[index].name = name.encode()
        return index

    def tensor(self, name: str, dtype: InputDtype, shape: Any, quantization: Quantization | None = None) -> int:
        """Returns its index."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = name.encode(), getattr(self._schema.TensorType, dtype.upper()), 0
        tensor.shape = list(shape)
        if quantization is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization.scale], [quantization.zero_point]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind: str, source: int, target: int, *, at: int | None = None) -> None:
        """One tensor in, one out; at the end unless ``at`` says where."""
        code = getattr(self._schema.BuiltinOperator, kind)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._opcode(code)
        operator.inputs, operator.outputs = [source], [target]
        if kind == "SOFTMAX":
            operator.builtinOptions = self._schema.SoftmaxOptionsT()
            operator.builtinOptions.beta = 1.0
            operator.builtinOptionsType = self._schema.BuiltinOptions.SoftmaxOptions
        self.graph.operators.insert(len(self.graph.operators) if at is None else at, operator)

    def output(self, raw: int, given: InputDtype, name: str) -> int:
        """``raw``, float or int8, as an output of dtype ``given`` and that name; returns its tensor.

        Raises:
            ValueError: ``raw`` is float and ``given`` has 8 bits.
        """
        tensor = self.graph.tensors[raw]
        if self.is_float(raw):
            if given != "float32":
                raise ValueError("a float core gives float32")
            return self.rename(raw, name)
        if given == "int8":
            return self.rename(raw, name)
        if given == "float32":
            real = self.tensor(name, given, tensor.shape)
            self.operator("DEQUANTIZE", raw, real)
            return real
        stored = tensor.quantization
        quantization = Quantization(scale=float(stored.scale[0]), zero_point=int(stored.zeroPoint[0]) + _TO_UINT8)
        shifted = self.tensor(name, given, tensor.shape, quantization)
        self.operator("QUANTIZE", raw, shifted)
        return shifted

    def set_io(self, source: int, target: int) -> None:
        """Make ``source`` and ``target`` the graph's only input and output, in its signature too."""
        self.graph.inputs, self.graph.outputs = [source], [target]
        for signature in self._model.signatureDefs or []:
            for maps, index in ((signature.inputs, source), (signature.outputs, target)):
                maps[0].tensorIndex, maps[0].name = index, self.graph.tensors[index].name

    def _opcode(self, code: int) -> int:
        """Index of a version-1 entry of the operator table, added if need be. Codes below 127 are stored twice, for old readers."""
        for index, entry in enumerate(self._model.operatorCodes):
            if max(entry.builtinCode, entry.deprecatedBuiltinCode) == code:
                return index
        entry = self._schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        self._model.operatorCodes.append(entry)
        return len(self._model.operatorCodes) - 1
