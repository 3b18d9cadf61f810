"""What a training run is asked to do, and what it says of each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edge.errors import UsageError
from edge.strict import Strict
from export.train.augment import Augmentation


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """A training run.

    The head alone is trained for ``head_epochs``, then everything for ``epochs``: AdamW, a warm-up of one epoch, then a cosine down to
    a hundredth of ``learning_rate`` (of the body; the fresh head's is several times that). ``sizes_px`` are square training sizes that
    take equal parts of the epochs; none means the network's own. Small ones are quicker, and a network answers best at somewhat more
    than it was trained at (Touvron et al. 2019, https://arxiv.org/abs/1906.06423). ``average`` is the decay, a step, of the running mean
    of the weights; the mean is what is kept. With a teacher, ``teacher_share`` of the loss is the divergence from its softened answers
    (Hinton et al. 2015, https://arxiv.org/abs/1503.02531). Training stops after ``patience`` epochs in which validation did not
    improve; 0: never.
    """

    epochs: int = 20
    head_epochs: int = 1
    batch: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    average: float = 0.995
    sizes_px: tuple[int, ...] = ()
    patience: int = 8
    teacher_share: float = 0.5
    temperature: float = 2.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def check(self) -> None:
        """Raises UsageError that names the option."""
        limits = (
            ("--epochs", self.epochs >= 0 and self.epochs + self.head_epochs > 0, "at least 1 with --head-epochs"),
            ("--head-epochs", self.head_epochs >= 0, "0 or more"),
            ("--batch", self.batch >= 2, "at least 2, because of batch normalisation"),
            ("--learning-rate", 0 < self.learning_rate < 1, "in 0…1"),
            ("--label-smoothing", 0 <= self.label_smoothing < 1, "in 0…1"),
            ("--average", 0 <= self.average < 1, "in 0…1"),
            ("--train-sizes", all(32 <= size <= 1024 for size in self.sizes_px), "32 to 1024 pixels"),
            ("--teacher-share", 0 <= self.teacher_share <= 1, "in 0…1"),
        )
        for name, holds, allowed in limits:
            if not holds:
                raise UsageError(f"{name} must be {allowed}")

    @property
    def total_epochs(self) -> int:
        """Head and whole network."""
        return self.head_epochs + self.epochs

    def size_hw_px(self, epoch: int, own_hw_px: tuple[int, int]) -> tuple[int, int]:
        """The training size of ``epoch`` (counted from 0 over both phases); the head's epochs have the first one."""
        if not self.sizes_px:
            return own_hw_px
        part = max(0, epoch - self.head_epochs) * len(self.sizes_px) // max(1, self.epochs)
        side = self.sizes_px[min(part, len(self.sizes_px) - 1)]
        return side, side

    def rate(self, epoch: int, share_of_epoch: float) -> float:
        """Learning rate of the body at that moment."""
        if epoch < self.head_epochs:
            return self.learning_rate
        done = epoch - self.head_epochs + share_of_epoch
        warm = min(1.0, done + 0.02)
        cosine = 0.5 * (1 + math.cos(math.pi * done / max(1, self.epochs)))
        return self.learning_rate * warm * (0.01 + 0.99 * cosine)


class Epoch(Strict, frozen=True, kw_only=True):
    """One line of the training curve.

    ``val_top1`` in [0, 1] and ``val_loss`` are of the averaged weights, through ``edge.preprocess``; None without validation.
    ``seconds`` are of the training part alone.
    """

    epoch: int
    phase: str
    side_px: int
    learning_rate: float
    train_loss: float
    val_loss: float | None
    val_top1: float | None
    seconds: float
