"""What every command with training does before and around its job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edge import console
from edge.errors import GateError
from export.progress import Progress

if TYPE_CHECKING:
    from export.train.report import Reported, TrainingReport

log = logging.getLogger(__name__)

T = TypeVar("T")


def prepare() -> None:
    """Import PyTorch, and have the C library keep memory. Raises BackendError that says what to install."""
    from export.load.model import need_torch
    from export.train.memory import keep_memory

    need_torch()
    if not keep_memory():
        log.warning("the C library does not take memory settings: training is slower")


def run_and_tell(run: Callable[[Progress, Reported], T], out: Path, *, json: bool) -> tuple[T, list[TrainingReport]]:
    """Do a training of a command with its progress shown; where the gate refuses it, what was measured before is printed first.

    Args:
        run: the job, given what to tell of its progress and its reports.
        out: what it was to write.
        json: whether programs read along.

    Returns:
        What ``run`` returned, and the reports that it told.
    """
    reports: list[TrainingReport] = []
    try:
        with console.progress() as bars:
            return run(console.Bars(bars), reports.append), reports
    except GateError:
        from export.train.report import as_table

        for report in reports:
            if json:
                console.print_json({"passes": False, "networks": report.rows, "photos": report.photos})
            else:
                console.print_table(f"{out}: not written", *as_table(report))
        raise
