"""Facts of an ONNX file, read with the ``onnx`` package: no runtime has rewritten the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge.backends.verify import TensorFacts
from edge.errors import BackendError, BundleError
from edge.manifest import Quantization
from export.wrap.facts import ModelFacts, broken

_MOVES_ONLY = frozenset({"Transpose", "Reshape", "Identity"})
_PASS_ON = frozenset({"Reshape", "Flatten", "Squeeze", "Identity", "Cast", "QuantizeLinear", "DequantizeLinear"})


def onnx_facts(path: Path, content: bytes) -> ModelFacts:
    """Raises BundleError for a file that is no valid ONNX model, BackendError without the ``onnx`` package."""
    model = _parse(path, content)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]  # before IR 4 weights were listed as inputs too
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not graph.node or not opsets:
        raise broken(path, "it has no graph, or names no operator set")
    producer = {name: node for node in graph.node for name in node.output}
    return ModelFacts(
        "onnx",
        tuple(_facts(value, _reader_quantization(graph, constants, value.name)) for value in inputs),
        tuple(_facts(value, _writer_quantization(producer, constants, value.name)) for value in graph.output),
        _final_op(producer, graph.output[0].name) if graph.output else None,
        max(opsets),
    )


def _parse(path: Path, content: bytes) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendError(f"reading an ONNX model needs onnx: {error}", fix="pip install 'onnx>=1.17'") from error
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise broken(path, f"neither TFLite nor ONNX: {error}") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise BundleError(
            f"{path}: keeps its weights in another file",
            fix="save it as one file: onnx.save(onnx.load(PATH), NEW)",
        )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise broken(path, error) from error
    return model


def _facts(value: Any, quantization: Quantization | None) -> TensorFacts:
    import onnx

    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:
        dtype = "no tensor"
    return TensorFacts(value.name, dtype, shape, quantization if dtype in ("int8", "uint8") else None)


def _reader_quantization(graph: Any, constants: dict[str, Any], name: str) -> Quantization | None:
    """Of the DequantizeLinear that reads ``name``, where it is all that does, perhaps behind a transpose."""
    readers = [node for node in graph.node if name in node.input]
    while len(readers) == 1 and readers[0].op_type in _MOVES_ONLY:
        name = readers[0].output[0]
        readers = [node for node in graph.node if name in node.input]
    return _affine(readers[0], constants) if len(readers) == 1 and readers[0].op_type == "DequantizeLinear" else None


def _writer_quantization(producer: dict[str, Any], constants: dict[str, Any], name: str) -> Quantization | None:
    node = producer.get(name)
    return _affine(node, constants) if node is not None and node.op_type == "QuantizeLinear" else None


def _affine(node: Any, constants: dict[str, Any]) -> Quantization | None:
    """Whole-tensor scale and zero point of a (De)QuantizeLinear node; None if they are not constants of the file."""
    import onnx

    if len(node.input) < 2 or any(name not in constants for name in node.input[1:] if name):
        return None
    values = [np.ravel(onnx.numpy_helper.to_array(constants[name])) for name in node.input[1:] if name]
    if any(len(value) != 1 for value in values):
        return None
    return Quantization(scale=float(values[0][0]), zero_point=int(values[1][0]) if len(values) > 1 else 0)


def _final_op(producer: dict[str, Any], name: str) -> str | None:
    while name in producer:
        node = producer[name]
        if node.op_type not in _PASS_ON:
            return str(node.op_type).upper()
        name = node.input[0]
    return None
