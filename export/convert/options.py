"""How a network is quantized: every knob that a repair may turn, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WeightBits = Literal[7, 8]
Calibration = Literal["min-max", "percentile", "percentile-99.9", "entropy", "mse"]


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """Static 8-bit quantization.

    ``weight_bits``: 7 leaves headroom for x86 CPUs whose 16-bit sums saturate (ONNX only: LiteRT's kernels sum in 32 bits).
    ``calibration``: how activation ranges are taken (``export.convert.ranges``); plain "percentile" is 99.99.
    ``symmetric``: activation ranges −m…m, so that zero is in the middle of the steps. ``per_channel``: a weight scale for each
    output channel. ``rounding``: weights rounded by ``export.convert.rounding``. ``equalise``: channels brought to like ranges
    first (``export.convert.equalise``). ``float_layers``: names of the network's modules (as in ``named_modules``) that stay float.
    """

    weight_bits: WeightBits
    calibration: Calibration = "min-max"
    symmetric: bool = False
    per_channel: bool = True
    rounding: bool = True
    equalise: bool = False
    float_layers: tuple[str, ...] = ()
