"""Try or measure one candidate in this process: ``python -m edge.choice.probe BUNDLE MODEL CANDIDATE THREADS RUNS {judge|time}
[PLACEMENT]``, the last as JSON (``edge.backends.base.Placement``); without it on the CPU. ``judge`` replays the golden set.

A process of its own a candidate, because nobody knows yet what the file does to a process, and because sessions that share one disturb
each other's threads (several times over with two). The result is one JSON object on standard output.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge.backends import load_backend, runtime_of
from edge.backends.base import ON_CPU, Backend, Placement
from edge.bundle.golden import GoldenSet
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.pick import ProbeResult
from edge.data import RawOutputs, Region, U8Image
from edge.errors import BackendError, BundleError, ProviderError, ShelfcamError
from edge.gate import Measured
from edge.manifest import Answer, Candidate, Model
from edge.preprocess import preprocess
from edge.tasks import task_of

WARM_UP_RUNS = 10
SEVERAL = 4
"""Pictures at once that a candidate without a fixed batch must answer."""

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
    """Load the candidate, let it answer the golden pictures (if ``quality``) and time ``runs`` inferences of one crop.

    A candidate that cannot run here (runtime missing, file altered, answers that are none) is a result with ``failure``, not an error.
    """
    result = ProbeResult(candidate=candidate.name, place=placement.provider, bundle=bundle.sha256)
    replace = msgspec.structs.replace
    try:
        backend = load_backend(bundle.model_file(candidate), candidate, threads, placement)
    except ShelfcamError as error:
        unavailable, missing = isinstance(error, BackendError), isinstance(error, ProviderError)
        return replace(result, failure=str(error), fix=error.fix, unavailable=unavailable, missing=missing)
    try:
        judged = _judge(backend, bundle, model, candidate) if quality else {}
        latency = time_inference(backend, candidate, bundle.golden(model, model.first), runs) if runs else []
    except ShelfcamError as error:
        return replace(result, failure=str(error), fix=error.fix)
    return replace(
        result,
        runtime=f"{backend.info.name} {backend.info.version}",
        provider=backend.info.provider,
        available=runtime_of(candidate).available(),
        latency_ms=tuple(latency),
        judged=judged,
    )


def _judge(backend: Backend, bundle: Bundle, model: Model, candidate: Candidate) -> dict[str, Measured]:
    """The candidate's answers to the golden pictures against the float network's, as far as its outputs can hold those. Without a golden
    set there is nothing to compare with, but a few pictures still have to be answered. Raises BundleError, BackendError."""
    together: dict[str, list[tuple[Answer, GoldenSet]]] = {}
    for answer in model.answers:
        golden = bundle.golden(model, answer)
        if answer.golden is not None and golden is not None:
            together.setdefault(answer.golden.archive.file, []).append((answer, golden))
    if not together:
        raw_answers(backend, candidate, _plain_pictures(candidate))
    judged = {}
    for group in together.values():
        raw = raw_answers(backend, candidate, group[0][1].images)
        for answer, golden in group:
            task, outputs = task_of(answer.task), answer.of(candidate.outputs)
            rows = np.concatenate([task.rows(answer.of(one), outputs) for one in raw])
            judged[answer.name] = task.compare(rows, task.shown(golden.expected, outputs), answer)
    return judged


def raw_answers(backend: Backend, candidate: Candidate, images: U8Image) -> list[RawOutputs]:
    """What the candidate gives for N×H×W×3 pictures, one by one as the loop feeds them. Where it takes any number at once, a few at once
    must be answered too, as the loop asks for several slots.

    Raises:
        BundleError: an answer holds values that are not finite.
        BackendError: the runtime fails, or an answer has another shape than the manifest says.
    """
    raw = [
        _answer(backend, [image], candidate, f"picture {number} of {len(images)}")
        for number, image in enumerate(images, start=1)
    ]
    if candidate.input.batch == "dynamic" and len(images) > 1:
        _answer(backend, images[:SEVERAL], candidate, f"{len(images[:SEVERAL])} pictures at once")
    return raw


def _answer(backend: Backend, images: Sequence[U8Image] | U8Image, candidate: Candidate, what: str) -> RawOutputs:
    """``what`` names the pictures in errors."""
    try:
        raw = backend.run(preprocess([Region("golden", image) for image in images], candidate.input))
    except BackendError as error:
        raise BackendError(f"{what}: {error}", fix=error.fix) from error
    for values, spec in zip(raw, candidate.outputs, strict=True):
        if not np.isfinite(values).all():
            raise BundleError(f"candidate {candidate.name}, {what}: output {spec.name} holds values that are not finite")
    return raw


def _plain_pictures(candidate: Candidate) -> U8Image:
    """Black, grey and noise: 3×H×W×3 uint8."""
    height, width = candidate.input.size_hw_px
    images = np.zeros((3, height, width, 3), dtype=np.uint8)
    images[1] = 127
    images[2] = np.random.default_rng(0).integers(0, 256, images[2].shape, dtype=np.uint8)
    return images


def time_inference(backend: Backend, candidate: Candidate, golden: GoldenSet | None, runs: int) -> list[float]:
    """Milliseconds of each of ``runs`` inferences of one crop, after a warm-up."""
    height, width = candidate.input.size_hw_px
    image = golden.images[0] if golden else np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    batch = preprocess([Region("golden", image)], candidate.input)
    for _ in range(min(WARM_UP_RUNS, runs)):
        backend.run(batch)
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        backend.run(batch)
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


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
