"""What an export is asked to do: the command line, parsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.bundle.golden import GOLDEN_MIN_IMAGES
from edge.errors import UsageError
from edge.manifest import Gate, GoldenSource
from export.judge.defaults import DEFAULT_GATE, DEFAULT_STRATEGY, Strategy
from export.load.spec import ModelSpec
from export.tasks import task_of

HELD_OUT_COUNT = 100
"""Photos that judge, unless a list or the user says otherwise."""
DEFAULT_BUDGET_BYTES = 20_000_000
REPORT_PAGE = "index.html"
"""What every report's directory holds."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for. ``calibration`` is a directory or ``calibrate.SKIMAGE``; ``budget_bytes`` is per file; no
    name in ``candidates`` means the default ones; ``gate.accuracy_min`` is worked out, not asked for.

    ``calibration_list`` is a CSV with the column path, ``held_out_labels`` one with path and label; ``held_out_count`` None: all of
    that list, else ``HELD_OUT_COUNT``. ``report`` is a directory to make.
    """

    model: ModelSpec
    out: Path
    calibration: str
    calibration_list: Path | None = None
    held_out: Path | None = None
    held_out_labels: Path | None = None
    held_out_count: int | None = None
    golden: GoldenSource = "held_out"
    golden_count: int = GOLDEN_MIN_IMAGES
    calibration_count: int = 100
    budget_bytes: int = DEFAULT_BUDGET_BYTES
    candidates: tuple[str, ...] = ()
    gate: Gate = DEFAULT_GATE
    strategy: Strategy = DEFAULT_STRATEGY
    report: Path | None = None
    seed: int = 0
    replace: bool = False

    def check(self) -> None:
        """Raises UsageError for what can be seen to be wrong without looking at a file."""
        if self.golden_count < GOLDEN_MIN_IMAGES:
            raise UsageError(f"a golden set needs at least {GOLDEN_MIN_IMAGES} images, not {self.golden_count}")
        if self.held_out_labels is not None and self.held_out is None:
            raise UsageError("--held-out-labels needs --held-out: the directory that the list's paths are below")
        task = task_of(self.model.task)
        if self.held_out_labels is not None and not task.picks_class:
            raise UsageError(f"--held-out-labels judges by accuracy, which {task.noun} has none of", fix="leave it out")
        if self.report is not None:
            out, report = self.out.resolve(), self.report.resolve()
            if out == report or out in report.parents or report in out.parents:
                raise UsageError(f"--report {self.report} and --out {self.out}: neither may be within the other")
        if self.calibration_list is not None and self.calibration == "skimage":
            raise UsageError("--calibration-list needs a directory as --calibration")
        counts = {"--held-out-count": self.held_out_count, "--calibration-count": self.calibration_count}
        for option, count in counts.items():
            if count is not None and count < 1:
                raise UsageError(f"{option} must be greater than 0, not {count}")
