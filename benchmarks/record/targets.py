"""The targets of the camera loop, and figures held beside them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from benchmarks.record.schema import Check, Ratio

SHARE_MIN = 0.92  # of the bare backend's throughput, one thread
SHARE_MIN_OF_SEVERAL = 0.87  # the same where inference has several threads, and what is beside it one
PREPROCESS_MAX = 0.10  # of the inference's median
START_CPU_MAX_S = 1.0
PEAK_MAX_MB = 200.0  # MB are 10⁶ bytes, as in every budget of this project
GROWTH_MAX = 0.02
INT8_MAX_MB = 5.5
INT8_SPEED_MIN = 1.3  # × fp32, one thread
AGREEMENT_MIN = {True: 0.87, False: 0.78}  # top-1 with fp32; by whether the kernel's sums are guarded (x64quantprecision)

SHELF_RIGHT_MIN = 0.98  # recall, and precision, of the events of scripted shelves
BUSY_MIN = 0.90  # of the bare backend's throughput, where every slot changes
IDLE_MAX = 0.10  # of the CPU time of the same loop that infers every slot of every frame
MEDIAPIPE_MIN = 1.3  # × MediaPipe Tasks' ImageClassifier in VIDEO mode: frames a second of our loop with the chosen candidate
PLAIN_MIN = 1.1  # × a sequential loop of OpenCV and ONNX Runtime on the same candidate
SHELF_GROWTH_MAX = 0.02  # over 100,000 frames: 3 MB, less than an allocator's slack; 30 bytes lost a frame would be told

Sense = Literal["≥", "≤"]


def check(name: str, value: float, sense: Sense, limit: float, *, unit: str, note: str = "") -> Check:
    """A figure that was measured."""
    holds = value >= limit if sense == "≥" else value <= limit
    return Check(name=name, value=value, sense=sense, limit=limit, unit=unit, holds=holds, note=note)


def check_ratio(ratio: Ratio, sense: Sense, limit: float) -> Check:
    """A ratio, judged by its median; the note gives the interval and says when that does not settle it."""
    note = f"95 % interval {ratio.low:.3f} to {ratio.high:.3f}"
    if ratio.low < limit < ratio.high:
        note += ", with the target inside: not settled, measure longer or on a quieter machine"
    return check(ratio.name, ratio.value, sense, limit, unit="×", note=note)


def unmeasured(name: str, sense: Sense, limit: float, *, unit: str, why: str) -> Check:
    """A figure that could not be measured here."""
    return Check(name=name, value=None, sense=sense, limit=limit, unit=unit, holds=None, note=why)


def summary(checks: Sequence[Check]) -> str:
    """How many hold, in words."""
    held, measured = sum(item.holds is True for item in checks), sum(item.holds is not None for item in checks)
    left_out = f", {len(checks) - measured} not measured" if measured < len(checks) else ""
    return f"{held} of {measured} targets hold{left_out}"
