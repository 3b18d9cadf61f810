"""Static 8-bit quantization of an ONNX core: unsigned activations, signed weights per channel, min-max ranges."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edge.data import U8Image
from export.convert.core import PIXEL_GRID, to_grid
from export.convert.options import WeightBits
from export.convert.to_onnx import CORE_INPUT, IR_VERSION
from export.progress import Advance


def quantize_core(core: Any, images: U8Image, *, weight_bits: WeightBits, advance: Advance) -> Any:
    """Quantize and dequantize nodes around every operator of ``core`` (an ``onnx.ModelProto``).

    Args:
        core: from ``core_to_onnx``; not changed.
        images: N×H×W×3 uint8 RGB at the model's size, from ``edge.preprocess``: what the camera will feed.
        weight_bits: 7 leaves headroom for the 16-bit sums of x86 CPUs without VNNI, which saturate
            (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range").
        advance: called after each image.

    Returns:
        An ``onnx.ModelProto`` with the core's input and output. The input is quantized on the pixel grid whatever the images hold.
        The last matrix product's result stays float: rounding logits to 256 steps would make ties.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="shelfcam-") as folder:
        plain, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "quantized"))
        onnx.save(core, plain)  # given a ModelProto it would move the weights to a file that it then cannot read back
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            _Reader(images, advance),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=weight_bits == 7,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "TensorQuantOverrides": {CORE_INPUT: [_grid_override()]},
                "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
            },
        )
        model = onnx.load(quantized)
    model.ir_version = IR_VERSION
    return model


def _grid_override() -> dict[str, Any]:
    from onnxruntime.quantization import QuantType

    return {
        "quant_type": QuantType.QUInt8,
        "scale": np.array(PIXEL_GRID.scale, dtype=np.float32),
        "zero_point": np.array(PIXEL_GRID.zero_point, dtype=np.uint8),
    }


class _Reader:
    """Feeds the calibration one image at a time, so that memory does not grow with their number."""

    def __init__(self, images: U8Image, advance: Advance) -> None:
        self._images = iter(images)
        self._advance = advance
        self._given = False

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> dict[str, Any]:
        following = self.get_next()
        if following is None:
            raise StopIteration
        return following

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, or None at the end; onnxruntime's CalibrationDataReader."""
        if self._given:
            self._advance()
        image = next(self._images, None)
        self._given = image is not None
        return None if image is None else {CORE_INPUT: to_grid(image[None]).transpose(0, 3, 1, 2)}
