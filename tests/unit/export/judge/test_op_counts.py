"""Multiply-accumulates and 8-bit shares, against sums done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.judge.op_counts import Product, count, summarise


def product(macs: int, *, integer: bool = False, name: str | None = "w", dtype: str | None = "float32", n: int = 10) -> Product:
    return Product(macs=macs, integer=integer, weight_name=name, weight_dtype=dtype, weight_elements=n)


@pytest.mark.parametrize(
    ("products", "share", "precision"),
    [
        ([product(90, integer=True, dtype="int8"), product(10, name="v")], 0.9, "int8"),
        ([product(89, integer=True, dtype="int8"), product(11, name="v")], 0.89, "mixed"),
        ([product(100, dtype="int8")], 0.0, "fp32"),
        ([product(100, dtype="float16")], 0.0, "fp16"),
        ([product(50, dtype="float16", n=5), product(50, name="v", n=6)], 0.0, "fp32"),
        ([], 0.0, "fp32"),
    ],
)
def test_precision_follows_the_share(products: list[Product], share: float, precision: str) -> None:
    counts = summarise(products)
    assert counts.int8_mac_share == pytest.approx(share)
    assert counts.precision == precision


def test_a_shared_weight_counts_once_but_works_twice() -> None:
    counts = summarise([product(10, dtype="int8"), product(10, dtype="int8"), product(4, name=None, dtype=None, n=0)], batch=2)
    assert counts.macs == 12
    assert (counts.weights.tensors, counts.weights.tensors_8bit, counts.weights.elements) == (1, 1, 10)


def onnx_file(tmp_path: Path, op: str, weight: tuple[int, ...], **attributes: object) -> Path:
    onnx = pytest.importorskip("onnx", reason="the models are made with onnx")
    from onnx import TensorProto, helper, numpy_helper

    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 6, 6] if "Conv" in op else ["N", 20])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constant = numpy_helper.from_array(np.zeros(weight, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node(op, ["x", "w"], ["y"], **attributes)], "g", [image], [out], [constant])
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("op", "weight", "attributes", "macs"),
    [
        ("Conv", (8, 4, 3, 3), {"pads": [1] * 4}, 8 * 36 * 4 * 9),
        ("Conv", (8, 4, 3, 3), {"pads": [1] * 4, "strides": [2, 2]}, 8 * 9 * 4 * 9),
        ("Conv", (4, 1, 3, 3), {"pads": [1] * 4, "group": 4}, 4 * 36 * 9),
        ("ConvTranspose", (4, 5, 2, 2), {"strides": [2, 2]}, 4 * 36 * 5 * 4),
        ("Gemm", (20, 7), {}, 140),
        ("Gemm", (7, 20), {"transB": 1}, 140),
        ("MatMul", (20, 7), {}, 140),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_operators(tmp_path: Path, op: str, weight: tuple, attributes: dict, macs: int, batch: int) -> None:
    shape = (batch, 4, 6, 6) if "Conv" in op else (batch, 20)
    counts = count(onnx_file(tmp_path, op, weight, **attributes), "onnx", shape)
    assert counts.macs == macs
    assert counts.weights.elements == int(np.prod(weight))
    assert counts.precision == "fp32"


def test_8_bit_weights_beside_float_data_do_not_count(tmp_path: Path) -> None:
    """Dequantized weights alone: onnxruntime multiplies in floats."""
    onnx = pytest.importorskip("onnx", reason="the models are made with onnx")
    from tests.fakes import onnx_models

    model = onnx.load_model_from_string(onnx_models.quantized_io())
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    assert count(path, "onnx", (1, 8, 8, 3)).int8_mac_share == 1.0
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.input[0] = "floats"
    model.graph.node.insert(2, onnx.helper.make_node("Identity", ["real"], ["floats"]))
    onnx.save(model, path)
    counts = count(path, "onnx", (1, 8, 8, 3))
    assert (counts.int8_mac_share, counts.precision) == (0.0, "fp32")
    assert counts.weights.tensors_8bit == 1
