"""How often the int8 candidates answer like the float network, on this machine, on crops of photographs that none was calibrated on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.measure.precision import Placed
from edge.backends import load_backend
from edge.data import F32, Region
from edge.gate import Measured
from edge.preprocess import preprocess
from edge.tasks.classify import class_logits, compare

CROPS = 100


@dataclass(frozen=True, slots=True)
class Agreement:
    """One candidate against the fp32 one."""

    placed: Placed
    measured: Measured


def agreement(fp32: Placed, others: list[Placed]) -> list[Agreement]:
    """Every other candidate against the fp32 ONNX one, which differs from PyTorch by less than 1e-4 (``tests/unit/export``).

    The crops are those that an export with ``--calibration skimage`` judges on.

    Raises:
        BackendError: scikit-image or a runtime is missing.
    """
    from export.convert.calibrate import HELD_OUT_PHOTOS
    from export.photos import random_crops

    crops = [Region("crop", pixels) for pixels in random_crops(HELD_OUT_PHOTOS, CROPS, [0, 1])]
    expected = _logits(fp32, crops)
    return [Agreement(placed, compare(_logits(placed, crops), expected)) for placed in others]


def _logits(placed: Placed, crops: list[Region]) -> F32:
    backend = load_backend(placed.bundle.model_file(placed.candidate), placed.candidate, threads=1)
    try:
        rows = [
            class_logits(backend.run(preprocess([c], placed.candidate.input))[0], placed.candidate.outputs[0]) for c in crops
        ]
    finally:
        backend.close()
    return np.concatenate(rows)
