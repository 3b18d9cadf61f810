"""Does a candidate, run by the camera's own code, answer like the float PyTorch network?"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edge.backends import load_backend
from edge.bundle.manifest import Candidate, GoldenSource, Quality
from edge.choice.machine import cpu_facts
from edge.data import Crop, U8Image
from edge.gate import F32, compare
from edge.preprocess import preprocess
from edge.tasks.classify import class_logits
from export.candidates import X64_PRECISION
from export.progress import Advance

_BATCH = 8


@dataclass(frozen=True, slots=True)
class Exam:
    """Pictures, N×H×W×3 uint8 RGB at the model's size, with the float network's N×C logits."""

    images: U8Image
    expected: F32
    source: GoldenSource


def examine(file: Path, candidate: Candidate, exams: Sequence[Exam], *, threads: int, advance: Advance) -> tuple[Quality, ...]:
    """One ``Quality`` per exam, in order, with the candidate's own runtime options; then, where those change the arithmetic, the
    same exams again without them, as a record.

    Args:
        file: the model file.
        candidate: its manifest entry; ``quality`` may be empty.
        exams: the first decides about the gate.
        threads: CPU threads to run on.
        advance: called after each picture.

    Raises:
        BackendError: the runtime is missing or fails.
        BundleError: the file does not fit its manifest entry.
    """
    rows = _run(file, candidate, exams, threads, advance)
    if X64_PRECISION in candidate.runtime_options:
        plain = {key: value for key, value in candidate.runtime_options.items() if key != X64_PRECISION}
        rows += _run(file, msgspec.structs.replace(candidate, runtime_options=plain), exams, threads, advance)
    return tuple(rows)


def runs_per_exam(candidate: Candidate) -> int:
    """How often ``examine`` goes through its exams."""
    return 2 if X64_PRECISION in candidate.runtime_options else 1


def _run(file: Path, candidate: Candidate, exams: Sequence[Exam], threads: int, advance: Advance) -> list[Quality]:
    backend = load_backend(file, candidate, threads)
    try:
        rows = []
        for exam in exams:
            logits = []
            for start in range(0, len(exam.images), _BATCH):
                crops = [Crop("golden", image) for image in exam.images[start : start + _BATCH]]
                logits.append(class_logits(backend.run(preprocess(crops, candidate.input))[0], candidate.outputs[0]))
                for _ in crops:
                    advance()
            measured = compare(np.concatenate(logits), exam.expected)
            rows.append(
                Quality(
                    images=measured.images,
                    source=exam.source,
                    logit_cosine=round(measured.logit_cosine, 5),
                    top1_agreement=round(measured.top1_agreement, 5),
                    runtime=f"{backend.info.name} {backend.info.version}",
                    arithmetic=arithmetic(candidate),
                )
            )
    finally:
        backend.close()
    return rows


def arithmetic(candidate: Candidate) -> str:
    """How sums are made here: float, or 8-bit with the option that guards it and the CPU's instructions that matter for it."""
    if candidate.int8_mac_share == 0:
        return "float"
    words = ["x64quantprecision=1"] if candidate.runtime_options.get(X64_PRECISION) == "1" else ["plain"]
    facts = cpu_facts()
    features = f"{facts.get('flags', '')} {facts.get('Features', '')}".split()
    known = [name for name in ("avx512_vnni", "avx_vnni", "i8mm", "asimddp") if name in features]
    return ", ".join([*words, f"{platform.machine()} {' '.join(known) or 'without dot-product instructions'}"])
