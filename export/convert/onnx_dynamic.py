"""Dynamic 8-bit quantization of an ONNX core: weights once, activations as they come."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from export.convert.quiet import quiet
from export.convert.to_onnx import IR_VERSION

_LEVELS = 64
"""7-bit weights, as in the static file: ``ConvInteger`` sums in 16 bits on x86 CPUs without VNNI, where 8 bits saturate."""


def quantize_core(core: Any) -> Any:
    """A copy of a float core with ``ConvInteger`` and ``MatMulInteger`` for its convolutions and matrices.

    The weights shall lie on the 7-bit grid already (``export.convert.rounding``); others are rounded one by one.

    Each activation's range is taken from the picture at hand (``DynamicQuantizeLinear``, a tensor at a time), so no calibration
    can be wrong; but ONNX Runtime's ``ConvInteger`` is far slower than its float convolution, and
    https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html recommends static quantization for CNNs.

    ``quantize_dynamic`` gives a convolution one scale for all its weights, whatever ``per_channel`` says, which ruins depthwise
    ones. The scale is multiplied in behind the integers, so a vector of one scale a channel does as well: it is put in here.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="shelfcam-") as folder, quiet():
        plain, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "quantized"))
        onnx.save(core, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_dynamic(prepared, quantized, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        model, exact = onnx.load(quantized), onnx.load(prepared)
    floats = {tensor.name: tensor for tensor in exact.graph.initializer}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "ConvInteger":
            name = node.input[1].removesuffix("_quantized")
            _per_channel(numpy_helper.to_array(floats[name]), stored[f"{name}_quantized"], stored[f"{name}_scale"])
    model.ir_version = IR_VERSION
    return model


def _per_channel(weight: Any, stored: Any, scale: Any) -> None:
    """Write ``weight`` O×I/g×H×W into the two constants: int8 of the same shape, and O×1×1 scales."""
    steps = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True) / _LEVELS
    steps = np.where(steps > 0, steps, 1).astype(np.float32)
    stored.CopyFrom(numpy_helper.from_array(np.rint(weight / steps).astype(np.int8), stored.name))
    scale.CopyFrom(numpy_helper.from_array(steps[:, 0], scale.name))
