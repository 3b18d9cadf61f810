"""Bytes between layers, counted by hand on a small graph and held against each other on the network that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure import activations
from benchmarks.measure.activations import activation_bytes
from edge.bundle.reader import open_bundle
from edge.models import DEFAULT_BUNDLE, bundle_directory
from tests.fakes.candidates import onnx_candidate, vww_candidate

onnx = pytest.importorskip("onnx")


def graph(tmp_path: Path, *, quantized: bool) -> Path:
    """1×3×8×8 → Conv (4 channels) → Relu → Split into two → Add → Reshape → MatMul → 5 values."""
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "w": np.zeros((4, 3, 1, 1), np.float32),
        "m": np.zeros((128, 5), np.float32),
        "to": np.array([1, 128], np.int64),
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.uint8),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("QuantizeLinear", ["relu", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        helper.make_node("Split", ["dq" if quantized else "relu"], ["left", "right"], axis=1, num_outputs=2),
        helper.make_node("Add", ["left", "right"], ["sum"]),
        helper.make_node("Reshape", ["sum", "to"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["scores"]),
    ]
    if not quantized:
        nodes = [node for node in nodes if "Quantize" not in node.op_type and "Dequantize" not in node.op_type]
    fed = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])]
    given = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 5])]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "small", fed, given, stored), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    path = tmp_path / "small.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("quantized", "conv_item_bytes"), [(False, 4), (True, 1)])
def test_every_output_once_and_an_activation_with_its_convolution(
    tmp_path: Path, quantized: bool, conv_item_bytes: int
) -> None:
    conv, halves, added, scores = 4 * 64 * conv_item_bytes, 2 * 2 * 64 * 4, 2 * 64 * 4, 5 * 4
    found = activation_bytes(graph(tmp_path, quantized=quantized), onnx_candidate())
    assert found == conv + halves + added + scores


def test_both_formats_of_the_network_that_ships_agree() -> None:
    pytest.importorskip("ai_edge_litert")
    bundle = open_bundle(bundle_directory(DEFAULT_BUNDLE))
    candidates = {one.name: one for one in bundle.manifest.models[0].candidates}
    onnx_int8, tflite_int8 = (
        activation_bytes(bundle.path(candidates[name].model_file), candidates[name]) for name in ("onnx-int8", "tflite-int8")
    )
    assert onnx_int8 == pytest.approx(tflite_int8, rel=0.1)


def tflite_graph(tmp_path: Path, *, quantized: bool) -> Path:
    """1×8×8×3 → Conv (4 channels, ReLU inside) → Reshape → FullyConnected → 5 values."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kind, item = (schema.TensorType.INT8, np.int8) if quantized else (schema.TensorType.FLOAT32, np.float32)
    bias_kind, bias_item = (schema.TensorType.INT32, np.int32) if quantized else (kind, item)
    buffers = [schema.BufferT()]

    def tensor(name: str, shape: list[int], stored: type | None = None, of: int = kind, scale: float = 0.1):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, of, 0
        if stored is not None:
            made.buffer = len(buffers)
            buffers.append(schema.BufferT())
            buffers[-1].data = np.frombuffer(np.zeros(shape, stored).tobytes(), np.uint8)
        if quantized:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [0]
        return made

    def operator(code: int, inputs: list[int], output: int, options: int = 0, table: object = None):
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = options, table
        return made

    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors = [
        tensor("image", [1, 8, 8, 3]), tensor("filter", [4, 1, 1, 3], item), tensor("conv_bias", [4], bias_item, bias_kind, 0.01),
        tensor("conv", [1, 8, 8, 4]), tensor("flat", [1, 256]), tensor("weights", [5, 256], item),
        tensor("bias", [5], bias_item, bias_kind, 0.01), tensor("scores", [1, 5]),
    ]  # fmt: skip
    convolution, reshaping, dense = schema.Conv2DOptionsT(), schema.ReshapeOptionsT(), schema.FullyConnectedOptionsT()
    convolution.strideW = convolution.strideH = convolution.dilationWFactor = convolution.dilationHFactor = 1
    convolution.fusedActivationFunction = schema.ActivationFunctionType.RELU
    reshaping.newShape = [1, 256]
    graph.operators = [
        operator(0, [0, 1, 2], 3, schema.BuiltinOptions.Conv2DOptions, convolution),
        operator(1, [3], 4, schema.BuiltinOptions.ReshapeOptions, reshaping),
        operator(2, [4, 5, 6], 7, schema.BuiltinOptions.FullyConnectedOptions, dense),
    ]
    graph.inputs, graph.outputs = [0], [7]
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], buffers, []
    builtin = schema.BuiltinOperator
    for number, version in ((builtin.CONV_2D, 3), (builtin.RESHAPE, 1), (builtin.FULLY_CONNECTED, 4)):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = version
        model.operatorCodes.append(code)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "small.tflite"
    path.write_bytes(bytes(builder.Output()))
    return path


@pytest.mark.parametrize(("quantized", "item_bytes"), [(False, 4), (True, 1)])
def test_tflite_counts_the_same_and_8_bits_write_a_quarter(tmp_path: Path, quantized: bool, item_bytes: int) -> None:
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("flatbuffers")
    found = activation_bytes(tflite_graph(tmp_path, quantized=quantized), vww_candidate())
    assert found == (4 * 64 + 5) * item_bytes


def test_a_graph_that_cannot_be_followed_is_no_figure(tmp_path: Path) -> None:
    """onnx's own error for an operator of a domain that the file does not import is no RuntimeError."""
    model = onnx.load(graph(tmp_path, quantized=False))
    model.graph.node[1].domain = "nobody.knows"
    onnx.save(model, tmp_path / "small.onnx")
    with pytest.raises(onnx.shape_inference.InferenceError):
        onnx.shape_inference.infer_shapes(model, data_prop=True)
    assert activation_bytes(tmp_path / "small.onnx", onnx_candidate()) is None


@pytest.mark.parametrize("error", [onnx.shape_inference.InferenceError, KeyError, TypeError, MemoryError])
def test_no_graph_stops_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    path = graph(tmp_path, quantized=False)

    def infer_shapes(*_: object, **__: object) -> None:
        raise error("what onnx says")

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", infer_shapes)
    assert activation_bytes(path, onnx_candidate()) is None


def test_without_the_package_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> int:
        raise ImportError("onnx")

    monkeypatch.setattr(activations, "_of_onnx", gone)
    assert activation_bytes(tmp_path / "x.onnx", onnx_candidate()) is None
    monkeypatch.undo()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no protobuf at all")
    assert activation_bytes(broken, onnx_candidate()) is None
