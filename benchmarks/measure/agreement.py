"""How alike candidates answer, on this machine: int8 ones beside the float one, and one runtime beside the other.

``python -m benchmarks.measure.agreement BUNDLE`` compares the runtimes and prints one JSON object: a process of its own, so that a model
that is too large, or that breaks its runtime, does not take the zoo with it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.measure.alternation import need_memory
from benchmarks.measure.children import run_child
from benchmarks.measure.timing import expendable
from benchmarks.record.facts import Placed
from edge.backends import load_backend
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import Bundle, open_bundle
from edge.data import F32, Region
from edge.errors import BackendError, ShelfcamError
from edge.gate import Measured
from edge.manifest import Answer, Candidate, Model
from edge.models import find_model
from edge.preprocess import preprocess
from edge.tasks import task_of

CROPS = 100
_GOLDEN_PICTURES = 32


@dataclass(frozen=True, slots=True)
class Agreement:
    """One candidate against the fp32 one."""

    placed: Placed
    measured: Measured


class RuntimesCosine(msgspec.Struct, frozen=True, kw_only=True):
    """``cosine``: mean cosine of logits between the first ONNX and the first TFLite candidate, on golden pictures; ``failure``: why
    there is none."""

    cosine: float | None = None
    failure: str | None = None


def agreement(fp32: Placed, others: Sequence[Placed]) -> list[Agreement]:
    """Every other candidate against the fp32 ONNX one, which differs from PyTorch by less than 1e-4 (``tests/unit/export``), on crops of
    photographs that none was calibrated on: those that an export with ``--calibration skimage`` judges on.

    Raises:
        BackendError: scikit-image or a runtime is missing.
    """
    from export.convert.calibrate import HELD_OUT_PHOTOS
    from export.skimage_photos import random_crops

    crops = [Region("crop", pixels) for pixels in random_crops(HELD_OUT_PHOTOS, CROPS, [0, 1])]
    answer = fp32.model.first
    expected = _rows(fp32.bundle, fp32.candidate, answer, crops)
    compare = task_of(answer.task).compare
    return [
        Agreement(one, compare(_rows(one.bundle, one.candidate, one.model.first, crops), expected, answer)) for one in others
    ]


def runtimes_cosine(bundle: Bundle, timeout_s: float) -> float | None:
    """As ``RuntimesCosine.cosine``; None where one of the two formats, or the golden set, is missing.

    Raises:
        BackendError: one of them does not fit into memory or does not run here, or the two took longer than ``timeout_s``.
    """
    model = find_model(bundle, None)
    pair = _pair(model)
    if model.first.golden is None or pair is None:
        return None
    for candidate in pair:
        need_memory(candidate)
    arguments = [str(bundle.directory.resolve())]
    found = run_child("benchmarks.measure.agreement", arguments, RuntimesCosine, timeout_s=timeout_s)
    if found.failure is not None:
        raise BackendError(found.failure)
    return found.cosine


def compare_runtimes(bundle: Bundle) -> float | None:
    """The same in this process. Raises ShelfcamError, or ValueError where the two do not give rows of the same width."""
    model = find_model(bundle, None)
    golden, pair = bundle.golden(model, model.first), _pair(model)
    if golden is None or pair is None:
        return None
    crops = [Region("golden", image) for image in golden.images[:_GOLDEN_PICTURES]]
    ours, theirs = (_rows(bundle, candidate, model.first, crops) for candidate in pair)
    return round(task_of(model.first.task).compare(ours, theirs, model.first).logit_cosine, 5)


def _pair(model: Model) -> tuple[Candidate, Candidate] | None:
    first, second = (next((c for c in model.candidates if c.format == name), None) for name in ("onnx", "tflite"))
    return None if first is None or second is None else (first, second)


def _rows(bundle: Bundle, candidate: Candidate, answer: Answer, crops: Sequence[Region]) -> F32:
    backend = load_backend(bundle.model_file(candidate), candidate, threads=1)
    task, outputs = task_of(answer.task), answer.of(candidate.outputs)
    try:
        rows = [task.rows(answer.of(backend.run(preprocess([c], candidate.input))), outputs) for c in crops]
    finally:
        backend.close()
    return np.concatenate(rows)


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    expendable()
    try:
        result = RuntimesCosine(cosine=compare_runtimes(open_bundle(Path(argv[0]), WORKSTATION)))
    except ShelfcamError as error:
        result = RuntimesCosine(failure=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
