"""Does a candidate, run by the camera's own code, answer like the float PyTorch network?"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.backends import load_backend
from edge.backends.base import Backend
from edge.bundle.model_file import ModelFile
from edge.choice.keys import cpu_facts
from edge.data import F32, Region, U8Image
from edge.gate import Measured
from edge.manifest import Candidate, GoldenSource, OutputSpec, Quality, TaskName
from edge.preprocess import preprocess
from edge.tasks import task_of
from edge.tasks.base import Task
from export.candidates import X64_PRECISION
from export.progress import Advance
from export.tasks import DEFAULT_TASK

I64 = npt.NDArray[np.int64]
_BATCH = 8


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Pictures, N×H×W×3 uint8 RGB at the model's size, with what the float network answers, N×C.

    ``truth``: N class indices, where they are known. ``same_class``: C indices, for every class the first one of its name; lists
    know only names. ``first_of_last``: whether these are the first pictures of the last set, which then need not run twice.
    """

    images: U8Image
    expected: F32
    source: GoldenSource
    truth: I64 | None = None
    same_class: I64 | None = None
    first_of_last: bool = False

    def accuracy(self, logits: F32) -> float | None:
        """Share of N×C ``logits`` whose best class is right; None where the truth is not known."""
        if self.truth is None:
            return None
        best = logits.argmax(axis=1)
        return float(((best if self.same_class is None else self.same_class[best]) == self.truth).mean())

    def measure(self, answers: F32, task: Task, outputs: Sequence[OutputSpec]) -> Measured:
        """``answers``, N×C from ``outputs``, against the float network's, as far as such outputs can hold those."""
        return replace(task.compare(answers, task.shown(self.expected, outputs)), accuracy=self.accuracy(answers))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """``quality``: one row a set with the candidate's own runtime options, then where those change the arithmetic one a set
    without them. ``answers``: N×C to the last set, with them."""

    quality: tuple[Quality, ...]
    answers: F32


def evaluate(
    file: Path,
    candidate: Candidate,
    sets: Sequence[EvaluationSet],
    *,
    task: TaskName = DEFAULT_TASK,
    threads: int,
    advance: Advance,
) -> Evaluated:
    """What a candidate answers in every set.

    Args:
        file: the model file.
        candidate: its manifest entry; ``quality`` may be empty.
        sets: the golden set first.
        task: what its output is.
        threads: CPU threads to run on.
        advance: called after each picture.

    Raises:
        BackendError: the runtime is missing or fails.
        BundleError: the file does not fit its manifest entry.
    """
    rows, answers = _run(file, candidate, sets, task=task, threads=threads, advance=advance)
    if X64_PRECISION in candidate.runtime_options:
        plain = {key: value for key, value in candidate.runtime_options.items() if key != X64_PRECISION}
        guardless = msgspec.structs.replace(candidate, runtime_options=plain)
        rows += _run(file, guardless, sets, task=task, threads=threads, advance=advance)[0]
    return Evaluated(tuple(rows), answers)


def pictures_to_run(candidate: Candidate, sets: Sequence[EvaluationSet]) -> int:
    """How often ``evaluate`` will call ``advance``."""
    once = sum(len(evaluation_set.images) for evaluation_set in sets if not evaluation_set.first_of_last)
    return once * (2 if X64_PRECISION in candidate.runtime_options else 1)


def _run(
    file: Path, candidate: Candidate, sets: Sequence[EvaluationSet], *, task: TaskName, threads: int, advance: Advance
) -> tuple[list[Quality], F32]:
    backend, judge = load_backend(ModelFile.read(file), candidate, threads), task_of(task)
    rows: list[Quality] = []
    try:
        last = answers = np.empty((0, 0), dtype=np.float32)
        for evaluation_set in reversed(sets):
            if evaluation_set.first_of_last:
                answers = last[: len(evaluation_set.images)]
            else:
                answers = np.concatenate(
                    [
                        _answers(backend, judge, candidate, evaluation_set.images[i : i + _BATCH], advance)
                        for i in range(0, len(evaluation_set.images), _BATCH)
                    ]
                )
            if not rows:
                last = answers
            rows.append(
                _quality(
                    task,
                    evaluation_set,
                    evaluation_set.measure(answers, judge, candidate.outputs),
                    candidate,
                    f"{backend.info.name} {backend.info.version}",
                )
            )
    finally:
        backend.close()
    return rows[::-1], last


def _answers(backend: Backend, task: Task, candidate: Candidate, images: U8Image, advance: Advance) -> F32:
    regions = [Region("golden", image) for image in images]
    answers = task.rows(backend.run(preprocess(regions, candidate.input)), candidate.outputs)
    for _ in regions:
        advance()
    return answers


def _quality(answer: str, evaluation_set: EvaluationSet, measured: Measured, candidate: Candidate, runtime: str) -> Quality:
    float_accuracy = evaluation_set.accuracy(evaluation_set.expected)
    return Quality(
        answer=answer,
        images=measured.images,
        source=evaluation_set.source,
        logit_cosine=round(measured.logit_cosine, 5),
        top1_agreement=round(measured.top1_agreement, 5),
        accuracy=None if measured.accuracy is None else round(measured.accuracy, 5),
        float_accuracy=None if float_accuracy is None else round(float_accuracy, 5),
        runtime=runtime,
        arithmetic=arithmetic(candidate),
    )


def arithmetic(candidate: Candidate) -> str:
    """How sums are made here: float, or 8-bit with the option that guards it and the CPU's instructions that matter for it."""
    if candidate.int8_mac_share == 0:
        return "float"
    words = ["x64quantprecision=1"] if candidate.runtime_options.get(X64_PRECISION) == "1" else ["plain"]
    facts = cpu_facts()
    features = f"{facts.get('flags', '')} {facts.get('Features', '')}".split()
    known = [name for name in ("avx512_vnni", "avx_vnni", "i8mm", "asimddp") if name in features]
    return ", ".join([*words, f"{platform.machine()} {' '.join(known) or 'without dot-product instructions'}"])
