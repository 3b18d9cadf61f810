"""What a task is: all that is particular to it, from what its outputs must look like to how it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.bundle.manifest import OutputSpec
from edge.data import F32, RawOutputs, Region, Tensor
from edge.gate import Measured


@dataclass(frozen=True, slots=True)
class Scored:
    """``scores``: shares in [0, 1] by name, the headline first. ``predicted``: N class indices, what each picture was taken for."""

    scores: dict[str, float]
    predicted: npt.NDArray[np.int64]


class Decoder(Protocol):
    """Raw outputs → regions with one more answer each."""

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        """N rows of outputs for N regions."""
        ...


class MakeDecoder(Protocol):
    """Makes the decoder of one candidate."""

    def __call__(self, answer: str, outputs: Sequence[OutputSpec], labels: Sequence[str], top_k: int) -> Decoder:
        """``answer``: its name; ``outputs``: what it is read from; ``labels``: none where there are none; ``top_k``: classes that it
        names."""
        ...


class Task(Protocol):
    """A module of this package is one. N pictures, float32 throughout; pure."""

    @property
    def Decoder(self) -> MakeDecoder:  # noqa: N802 - a class of the module
        """Decodes on the camera."""
        ...

    def check(self, outputs: Sequence[OutputSpec], label_count: int | None) -> None:
        """Raises ValueError for outputs that are none of this task; ``label_count`` None: the model has no labels."""
        ...

    def rows(self, raw: RawOutputs, outputs: Sequence[OutputSpec]) -> F32:
        """What a candidate said, comparable with what the float model says (golden.npz's ``expected``)."""
        ...

    def shown(self, expected: F32, outputs: Sequence[OutputSpec]) -> F32:
        """What ``rows`` would give if the outputs held the float model's ``expected`` as well as it can."""
        ...

    def compare(self, ours: F32, expected: F32, truth: npt.NDArray[np.int64] | None = None) -> Measured:
        """What a gate is held against. Raises ValueError where there is nothing to compare."""
        ...

    def score(self, truth: npt.NDArray[np.int64], seen: Sequence[Region], labels: Sequence[str]) -> Scored:
        """What ``evaluate`` reports: of N labelled pictures, as they were ``seen``. Raises ValueError for too few."""
        ...


def first_indices(labels: Sequence[str]) -> dict[str, int]:
    """Label → the first class of that name. ImageNet has two "crane"; a list knows only the text, so both count as that one."""
    return {label: i for i, label in reversed(list(enumerate(labels)))}


def dequantized(raw: Tensor, output: OutputSpec) -> F32:
    """N×``width`` float32: real = scale × (stored − zero_point)."""
    rows = raw.reshape(len(raw), -1)
    if output.quantization is None:
        return np.asarray(rows, dtype=np.float32)
    zero = np.float32(output.quantization.zero_point)
    return np.asarray((rows.astype(np.float32) - zero) * np.float32(output.quantization.scale), dtype=np.float32)
