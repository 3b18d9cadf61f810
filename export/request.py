"""What an export is asked to do: the command line, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.bundle.golden import GOLDEN_MIN_IMAGES
from edge.bundle.manifest import Gate, GoldenSource
from export.judge.thresholds import DEFAULT_GATE
from export.load.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for. ``calibration`` is a directory or ``calibrate.SKIMAGE``; ``budget_bytes`` is per file; no
    name in ``candidates`` means all."""

    model: ModelSpec
    out: Path
    calibration: str
    held_out: Path | None = None
    golden: GoldenSource = "held_out"
    golden_count: int = GOLDEN_MIN_IMAGES
    calibration_count: int = 100
    budget_bytes: int = 20_000_000
    candidates: tuple[str, ...] = ()
    gate: Gate = DEFAULT_GATE
    seed: int = 0
    replace: bool = False
