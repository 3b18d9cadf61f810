"""Options that every command with training has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from export.load.options import size_hw

if TYPE_CHECKING:
    from export.train.settings import TrainSettings


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
