"""What a task is: all that is particular to it, from what its outputs must look like to how it is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.data import F32, RawOutputs, Region, Tensor
from edge.gate import Measured
from edge.manifest import Answer, Candidate, Meaning, OutputSpec


@dataclass(frozen=True, slots=True)
class Scored:
    """``scores``: shares in [0, 1] by name, the headline first. ``predicted``: N class indices, what each picture was taken for; -1 where
    nothing was seen in it."""

    scores: dict[str, float]
    predicted: npt.NDArray[np.int64]


class Decoder(Protocol):
    """All outputs of a candidate → regions with one more answer each."""

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        """N rows of outputs for N regions."""
        ...


class SeveralAnswers:
    """The decoders of a model that says several things, by the names of its answers; a region gets those that it wants."""

    def __init__(self, decoders: Mapping[str, Decoder]) -> None:
        self._decoders = dict(decoders)

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        """In the order of the model's answers."""
        seen = list(regions)
        for name, decoder in self._decoders.items():
            mine = [at for at, region in enumerate(seen) if region.is_asked((name,))]
            if mine:
                rows = raw if len(mine) == len(seen) else tuple(output[mine] for output in raw)
                for at, region in zip(mine, decoder.decode(rows, [seen[at] for at in mine]), strict=True):
                    seen[at] = region
        return seen


class MakeDecoder(Protocol):
    """Makes the decoder of one candidate."""

    def __call__(self, answer: Answer, candidate: Candidate, labels: Sequence[str], top_k: int) -> Decoder:
        """``answer``: of the candidate's model; ``labels``: none where there are none; ``top_k``: classes that it names."""
        ...


class Task(Protocol):
    """A module of this package is one. N pictures, float32 throughout; pure."""

    @property
    def Decoder(self) -> MakeDecoder:  # noqa: N802 - a class of the module
        """Decodes on the camera."""
        ...

    def check(self, answer: Answer, outputs: Sequence[OutputSpec]) -> None:
        """Raises ValueError for an answer, read from ``outputs``, that is none of this task."""
        ...

    def row_shape(self, outputs: Sequence[OutputSpec]) -> tuple[int, ...]:
        """Of what ``rows`` gives for each picture."""
        ...

    def rows(self, raw: RawOutputs, outputs: Sequence[OutputSpec]) -> F32:
        """What a candidate said in those outputs, comparable with what the float model says (what a golden set expects)."""
        ...

    def shown(self, expected: F32, outputs: Sequence[OutputSpec]) -> F32:
        """What ``rows`` would give if the outputs held the float model's ``expected`` as well as it can."""
        ...

    def compare(self, ours: F32, expected: F32, answer: Answer | None = None) -> Measured:
        """What a gate is held against; ``answer``: whose rows they are, for tasks whose answers have rules of their own. Raises ValueError
        where there is nothing to compare."""
        ...

    def score(self, truth: npt.NDArray[np.int64], seen: Sequence[Region], labels: Sequence[str]) -> Scored:
        """What ``evaluate`` reports: of N labelled pictures, as they were ``seen``. Raises ValueError for too few."""
        ...


def only(answer: Answer, outputs: Sequence[OutputSpec], meanings: Sequence[Meaning]) -> OutputSpec:
    """The one output of an answer that finds no boxes; it means one of those. Raises ValueError."""
    if answer.detection is not None:
        raise ValueError("detection: only a detector has it")
    if len(outputs) != 1:
        raise ValueError(f"it reads 1 output, not {len(outputs)}")
    if outputs[0].meaning not in meanings:
        raise ValueError(f"output {outputs[0].name} means {outputs[0].meaning!r}, not {' or '.join(map(repr, meanings))}")
    return outputs[0]


def first_indices(labels: Sequence[str]) -> dict[str, int]:
    """Label → the first class of that name. ImageNet has two "crane"; a list knows only the text, so both count as that one."""
    return {label: i for i, label in reversed(list(enumerate(labels)))}


def dequantized(raw: Tensor, output: OutputSpec) -> F32:
    """N×values float32: real = scale × (stored − zero_point)."""
    rows = raw.reshape(len(raw), -1)
    if output.quantization is None:
        return np.asarray(rows, dtype=np.float32)
    zero = np.float32(output.quantization.zero_point)
    return np.asarray((rows.astype(np.float32) - zero) * np.float32(output.quantization.scale), dtype=np.float32)
