"""What the commands with training share: their options, and what is done before and around the job."""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from edge import console
from edge.errors import GateError
from export.load.options import size_hw
from export.progress import Progress

if TYPE_CHECKING:
    from export.train.report import Reported, TrainingReport
    from export.train.settings import TrainSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

TrainOption = Annotated[Path, Parameter(help="CSV with the columns path,label.")]
ImagesOption = Annotated[Path, Parameter(help="Directory that the lists' paths are below.")]
RestartOption = Annotated[bool, Parameter(negative="", help="Begin anew where an interrupted run would go on.")]

# malloc.h of glibc; https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1  # bytes; the largest that mallopt takes
_TOP_PAD_BYTES = 512 * 1024 * 1024


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingOptions:
    """How the whole network is trained."""

    epochs: Annotated[int, Parameter(help="Of the whole network.")] = 20
    train_sizes: Annotated[
        str,
        Parameter(help="Square sizes in pixels to train at, each for an equal part of the epochs: for example 160,192,224."),
    ] = ""
    batch: Annotated[int, Parameter(help="Photos a step.")] = 32
    learning_rate: Annotated[float, Parameter(help="Of the body at its highest.")] = 5e-4
    label_smoothing: Annotated[float, Parameter(help="Share of the target that goes to all classes.")] = 0.1
    mix: Annotated[float, Parameter(help="How often a batch is mixed (mixup or CutMix).")] = 0.5
    flip: Annotated[bool, Parameter(help="Views may be mirrored; not where text decides.")] = True
    patience: Annotated[int, Parameter(help="Stop after so many epochs without a better validation; 0: never.")] = 8
    teacher_share: Annotated[float, Parameter(help="Share of the loss that is the teacher's.")] = 0.5

    def settings(self, *, head_epochs: int, seed: int) -> TrainSettings:
        """With what the command itself decides. Raises UsageError."""
        from export.train.augment import Augmentation
        from export.train.settings import TrainSettings

        return TrainSettings(
            epochs=self.epochs,
            head_epochs=head_epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            label_smoothing=self.label_smoothing,
            sizes_px=tuple(size_hw(word)[0] for word in self.train_sizes.split(",") if word.strip()),
            patience=self.patience,
            teacher_share=self.teacher_share,
            seed=seed,
            augmentation=Augmentation(mix=self.mix, flip=self.flip),
        )


NO_TRAINING_OPTIONS = TrainingOptions()


def prepare() -> None:
    """Import PyTorch, and have the C library keep memory. Raises BackendError that says what to install."""
    from export.load.model import need_torch

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


def keep_memory() -> bool:
    """Tell glibc to keep what a training step frees, until this process ends. Returns whether it could be told; another C library works,
    more slowly.

    A step allocates and frees hundreds of megabytes. By default glibc maps each large block anew and gives it back at once, and the
    kernel then clears every page again: a third of a step's time (EfficientNet-Lite0, batch 32, 224², two cores).
    """
    try:
        mallopt = ctypes.CDLL(ctypes.util.find_library("c")).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _TOP_PAD_BYTES))
    taken = [mallopt(key, value) == 1 for key, value in settings]
    return all(taken)
