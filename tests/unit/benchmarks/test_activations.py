"""Bytes between layers, counted by hand on a small graph and held against each other on the network that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import activations
from benchmarks.activations import activation_bytes
from edge.bundle.reader import open_bundle
from edge.models import DEFAULT_BUNDLE, bundle_directory
from tests.fakes.candidates import onnx_candidate

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


def test_both_formats_of_a_network_agree_and_8_bits_write_a_quarter() -> None:
    pytest.importorskip("ai_edge_litert")
    bundle = open_bundle(bundle_directory(DEFAULT_BUNDLE))
    candidates = {one.name: one for one in bundle.manifest.models[0].candidates}
    written = {name: activation_bytes(bundle.path(one.model_file), one) for name, one in candidates.items()}
    onnx_int8, tflite_int8 = written["onnx-int8"], written["tflite-int8"]
    assert onnx_int8 == pytest.approx(tflite_int8, rel=0.1)
    assert written.get("tflite-fp32", 4 * tflite_int8) == pytest.approx(4 * tflite_int8, rel=0.1)


def test_without_the_package_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> int:
        raise ImportError("onnx")

    monkeypatch.setattr(activations, "_of_onnx", gone)
    assert activation_bytes(tmp_path / "x.onnx", onnx_candidate()) is None
    monkeypatch.undo()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no protobuf at all")
    assert activation_bytes(broken, onnx_candidate()) is None
