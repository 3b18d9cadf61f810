"""Tiny ONNX classifiers that say which channel of a picture is brightest: the right answer is known without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 8
CLASSES = 3


def brightest(
    *, layout: str = "NCHW", batch: int | str = "N", size: int | str = SIZE, final: str | None = "Softmax", outputs: int = 1
) -> bytes:
    """float32 pixels, normalised to about −1…1 → 1×1 convolution → mean → scores ×8, with ``final`` behind them."""
    dims = [batch, 3, size, size] if layout == "NCHW" else [batch, size, size, 3]
    weights = numpy_helper.from_array(np.eye(CLASSES, dtype=np.float32).reshape(CLASSES, 3, 1, 1) * 8, "weights")
    nodes = [] if layout == "NCHW" else [helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2])]
    nodes += [
        helper.make_node("Conv", ["image" if layout == "NCHW" else "planes", "weights"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits" if final else "scores"]),
    ]
    if final:
        nodes.append(helper.make_node(final, ["logits"], ["scores"]))
    values = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES])]
    for index in range(1, outputs):
        nodes.append(helper.make_node("Identity", ["scores"], [f"more{index}"]))
        values.append(helper.make_tensor_value_info(f"more{index}", TensorProto.FLOAT, [batch, CLASSES]))
    return _model(nodes, [helper.make_tensor_value_info("image", TensorProto.FLOAT, dims)], values, [weights])


def two_outputs() -> bytes:
    """float32 N×3×8×8 → "sums" N×1 and "scores" N×3, in that order."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
        helper.make_node("ReduceSum", ["scores", "axis"], ["sums"]),
    ]
    axis = numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", n]) for name, n in (("sums", 1), ("scores", 3))]
    return _model(nodes, [image], outputs, [axis])


def quantized_io(dtype: int = TensorProto.UINT8, zero_point: int = 128) -> bytes:
    """8-bit N×8×8×3 (scale 1/128) → 8-bit scores (scale 1/16), quantize and dequantize nodes all the way."""
    name = helper.tensor_dtype_to_np_dtype(dtype)
    constants = [
        numpy_helper.from_array(np.float32(1 / 128), "in_scale"),
        numpy_helper.from_array(np.array(zero_point, dtype=name), "in_zero"),
        numpy_helper.from_array((np.eye(3, dtype=np.int8) * 100).reshape(3, 3, 1, 1), "weights"),
        numpy_helper.from_array(np.float32(0.08), "w_scale"),
        numpy_helper.from_array(np.int8(0), "w_zero"),
        numpy_helper.from_array(np.float32(1 / 16), "out_scale"),
        numpy_helper.from_array(np.array(zero_point, dtype=name), "out_zero"),
    ]
    quantize = ["out_scale", "out_zero"]
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["planes", "in_scale", "in_zero"], ["real"]),
        helper.make_node("DequantizeLinear", ["weights", "w_scale", "w_zero"], ["w"]),
        helper.make_node("Conv", ["real", "w"], ["features"]),
        helper.make_node("QuantizeLinear", ["features", *quantize], ["q1"]),
        helper.make_node("DequantizeLinear", ["q1", *quantize], ["d1"]),
        helper.make_node("GlobalAveragePool", ["d1"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("QuantizeLinear", ["flat", *quantize], ["scores"]),
    ]
    image = helper.make_tensor_value_info("image", dtype, ["N", SIZE, SIZE, 3])
    return _model(nodes, [image], [helper.make_tensor_value_info("scores", dtype, ["N", CLASSES])], constants)


def quantized_static(directory: Path, *, layout: str = "NCHW") -> Path:
    """``brightest`` without softmax, put through onnxruntime's static QDQ quantization; float input and output."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Noise(CalibrationDataReader):
        def __init__(self) -> None:
            rng = np.random.default_rng(0)
            shape = (1, 3, SIZE, SIZE) if layout == "NCHW" else (1, SIZE, SIZE, 3)
            batches = [rng.uniform(-1, 1, shape) for _ in range(8)] + [np.full(shape, -1.0), np.full(shape, 1.0)]
            self._rows = iter([{"image": batch.astype(np.float32)} for batch in batches])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._rows, None)

    source, target = directory / "float.onnx", directory / "quantized.onnx"
    source.write_bytes(brightest(layout=layout, final=None))
    quantize_static(
        source,
        target,
        Noise(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return target


def _model(nodes: list, inputs: list, outputs: list, constants: list) -> bytes:
    graph = helper.make_graph(nodes, "brightest", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
