"""Time one candidate in this process: ``python -m benchmarks.measure.timing REQUEST``, REQUEST one JSON object.

A process of its own a candidate and round: sessions that share one disturb each other's threads, and so every round has a start
of its own. The result is one JSON object (``Timing``) on standard output.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from benchmarks.measure.single_stream import RunLength, single_stream, warm_up
from benchmarks.record.host import read_memory
from edge.backends import load_backend
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.probe import die_with_parent
from edge.data import Region, Tensor, U8Image
from edge.errors import ShelfcamError
from edge.manifest import Candidate, Model
from edge.models import find_candidate, find_model
from edge.preprocess import preprocess

_PICTURES = 16  # distinct ones, in turn: no cache holds the answer to all


class TimingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to time. ``started_ns``: the parent's ``time.monotonic_ns`` just before it started this process; that clock is the
    machine's (clock_gettime(2)), so that the way to the first result can be told."""

    bundle: str
    model: str
    candidate: str
    threads: int
    queries: int
    seconds: float
    started_ns: int
    warm_up_queries: int = 3
    warm_up_s: float = 0.3

    def length(self) -> RunLength:
        """How long to go on."""
        return RunLength(self.queries, self.seconds, self.warm_up_queries, self.warm_up_s)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One round of one candidate.

    ``times_ms``: every query of one crop, in order, ready batch to outputs. ``seconds``: wall time of them all. ``load_ms``: from the
    file, its hash checked, to a backend that can be asked. ``first_ms``: from the start of the process to the first result, of a blank
    picture, every import included. Resident bytes: before the model was loaded, after the queries (their pictures included), and the
    highest. ``failure``: why the candidate cannot run here; then nothing else is said.
    """

    times_ms: tuple[float, ...] = ()
    seconds: float = 0.0
    load_ms: float = 0.0
    first_ms: float = 0.0
    resident_before: int = 0
    resident: int = 0
    peak: int = 0
    failure: str | None = None

    @property
    def answered(self) -> int:
        """Queries that got an answer of their own."""
        return len(self.times_ms)


A = TypeVar("A", bound=TimingRequest)


def time_candidate(request: TimingRequest) -> Timing:
    """Load, answer once, and only then make the pictures; warm up, then the timed queries. Raises ShelfcamError."""
    bundle = open_bundle(Path(request.bundle), WORKSTATION)
    model = find_model(bundle, request.model)
    candidate = find_candidate(model, request.candidate)
    resident_before, _ = read_memory()
    loading = time.perf_counter_ns()
    backend = load_backend(bundle.model_file(candidate), candidate, request.threads)
    load_ms = (time.perf_counter_ns() - loading) / 1e6
    with contextlib.closing(backend):
        blank = np.zeros((*candidate.input.size_hw_px, 3), np.uint8)
        backend.run(preprocess([Region("crop", blank)], candidate.input))
        first_ms = (time.monotonic_ns() - request.started_ns) / 1e6
        batches = [preprocess([Region("crop", pixels)], candidate.input) for pixels in pictures(bundle, model, candidate)]

        def query(index: int) -> object:
            return backend.run(batches[index % len(batches)])

        warm_up(query, request.length(), time.perf_counter_ns)
        start = time.perf_counter_ns()
        times = single_stream(query, request.length(), time.perf_counter_ns)
        seconds = (time.perf_counter_ns() - start) / 1e9
        resident, peak = read_memory()
    return Timing(
        times_ms=tuple(times),
        seconds=seconds,
        load_ms=load_ms,
        first_ms=first_ms,
        resident_before=resident_before,
        resident=resident,
        peak=peak,
    )


def pictures(bundle: Bundle, model: Model, candidate: Candidate) -> list[U8Image]:
    """Golden pictures; drawn noise where a bundle has none (a dense network takes the same time for it)."""
    golden = bundle.golden(model, model.first)
    if golden is not None:
        return list(golden.images[:_PICTURES])
    height, width = candidate.input.size_hw_px
    noise: Tensor = np.random.default_rng(0).integers(0, 256, (_PICTURES, height, width, 3), dtype=np.uint8)
    return list(noise)


def expendable() -> None:
    """This process shall not outlive its parent; and where memory ends, it shall go and not the one that keeps the results
    (proc_pid_oom_score_adj(5))."""
    die_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def answer(argv: list[str], kind: type[A], once: Callable[[A], Timing]) -> int:
    """Entry point of a child process: ``argv`` holds a request of this kind; what ``once`` finds, or why it failed, goes to standard
    output. Returns the exit code."""
    expendable()
    try:
        result = once(msgspec.json.decode(argv[0], type=kind))
    except ShelfcamError as error:
        result = Timing(failure=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(answer(sys.argv[1:], TimingRequest, time_candidate))
