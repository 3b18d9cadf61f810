"""How a network is quantized: every knob that a repair may turn, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WeightBits = Literal[7, 8]
Calibration = Literal["min-max", "percentile", "entropy", "mse"]


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """Static 8-bit quantization.

    ``weight_bits``: 7 leaves headroom for x86 CPUs whose 16-bit sums saturate. ``calibration``: how activation ranges are taken.
    ``symmetric``: signed activations around zero. ``per_channel``: a weight scale for each output channel. ``rounding``: weights
    rounded by ``export.convert.rounding``. ``equalise``: cross-layer equalisation first. ``float_layers``: names of the network's modules
    (as in ``named_modules``) that stay float.
    """

    weight_bits: WeightBits
    calibration: Calibration = "min-max"
    symmetric: bool = False
    per_channel: bool = True
    rounding: bool = True
    equalise: bool = False
    float_layers: tuple[str, ...] = ()
