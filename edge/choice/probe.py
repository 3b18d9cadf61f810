"""Measure one candidate in this process: ``python -m edge.choice.probe BUNDLE MODEL CANDIDATE THREADS RUNS {judge|time}
[PLACEMENT]``, the last as JSON (``edge.backends.base.Placement``); without it on the CPU.

A process of its own a candidate, because sessions that share one disturb each other's threads (several times over with two).
The result is one JSON object on standard output.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from edge.backends import load_backend
from edge.backends.attempt import available_providers
from edge.backends.base import ON_CPU, Backend, Placement
from edge.bundle.golden import GoldenSet
from edge.bundle.manifest import Candidate, Model
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.pick import ProbeResult
from edge.data import Crop, U8Image
from edge.errors import ProviderError, ShelfcamError
from edge.gate import F32, Measured, compare_answers
from edge.preprocess import preprocess
from edge.tasks.classify import class_logits, shown_logits

WARM_UP_RUNS = 10
_PR_SET_PDEATHSIG = 1


def probe(
    bundle: Bundle,
    model: Model,
    candidate: Candidate,
    *,
    threads: int,
    runs: int,
    quality: bool,
    placement: Placement = ON_CPU,
) -> ProbeResult:
    """Load the candidate, hold it against the golden set (if ``quality``) and time ``runs`` inferences of one crop.

    A candidate that cannot run here (runtime missing, file altered) is a result with ``failure``, not an error.
    """
    try:
        backend = load_backend(bundle.model_file(candidate), candidate, threads, placement)
        golden = bundle.golden(model)
        measured = measure(backend, model, candidate, golden) if quality and golden else None
        latency = time_inference(backend, candidate, golden, runs)
    except ShelfcamError as error:
        missing = isinstance(error, ProviderError)
        return ProbeResult(candidate=candidate.name, place=placement.provider, failure=str(error), missing=missing)
    return ProbeResult(
        candidate=candidate.name,
        place=placement.provider,
        runtime=f"{backend.info.name} {backend.info.version}",
        provider=backend.info.provider,
        available=available_providers() if candidate.format == "onnx" else (),
        latency_ms=tuple(latency),
        logit_cosine=measured.logit_cosine if measured else None,
        top1_agreement=measured.top1_agreement if measured else None,
        images=measured.images if measured else 0,
    )


def measure(backend: Backend, model: Model, candidate: Candidate, golden: GoldenSet) -> Measured:
    """The candidate's answers to the golden pictures against the float network's, as far as its output can hold those."""
    expected = shown_logits(golden.expected, candidate.outputs[0])
    return compare_answers(model.task, golden_logits(backend, candidate, golden), expected)


def golden_logits(backend: Backend, candidate: Candidate, golden: GoldenSet) -> F32:
    """N×C float32: what the candidate says to the golden pictures, one by one as the loop feeds it."""
    rows = [class_logits(backend.run(_batch_of(image, candidate))[0], candidate.outputs[0]) for image in golden.images]
    return np.concatenate(rows)


def time_inference(backend: Backend, candidate: Candidate, golden: GoldenSet | None, runs: int) -> list[float]:
    """Milliseconds of each of ``runs`` inferences of one crop, after a warm-up."""
    height, width = candidate.input.size_hw_px
    image = golden.images[0] if golden else np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    batch = _batch_of(image, candidate)
    for _ in range(min(WARM_UP_RUNS, runs)):
        backend.run(batch)
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        backend.run(batch)
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


def _batch_of(image: U8Image, candidate: Candidate) -> np.ndarray:
    return preprocess([Crop("golden", image)], candidate.input)


def die_with_parent() -> None:
    """A probe whose service was killed must not go on measuring for nobody (prctl(2))."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):  # not Linux
        return


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    die_with_parent()
    directory, model_name, candidate_name, threads, runs, mode, *rest = argv
    placement = msgspec.json.decode(rest[0], type=Placement) if rest else ON_CPU
    bundle = open_bundle(Path(directory))
    model = next(m for m in bundle.manifest.models if m.name == model_name)
    candidate = next(c for c in model.candidates if c.name == candidate_name)
    result = probe(bundle, model, candidate, threads=int(threads), runs=int(runs), quality=mode == "judge", placement=placement)
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
