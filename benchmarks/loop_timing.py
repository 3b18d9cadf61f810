"""Time one candidate inside the real loop, from the frame to the written event, in this process: ``python -m benchmarks.loop_timing
ASK``, ASK one JSON object. The result is one JSON object (``LoopTiming``) on standard output."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.camera import Camera
from benchmarks.host import read_memory
from benchmarks.share import Bench, opened
from benchmarks.spec import Stage
from benchmarks.stream import Limits
from benchmarks.timing import Ask, Timing, expendable
from edge import loop
from edge.errors import ShelfcamError
from edge.service.stopwatch import Stopwatch
from edge.sources.memory import MemoryFrames

_ENDLESS = 2**62


class LoopAsk(Ask, frozen=True, kw_only=True):
    """``fps``: the camera's rate; 0 as fast as the loop."""

    fps: float = 0.0


class LoopTiming(Timing, frozen=True, kw_only=True):
    """``times_ms``: of every frame that was due, until its event was written; ``stages``: the loop's own stopwatch; ``dropped``:
    frames that were passed over, of ``times_ms``."""

    stages: dict[str, Stage] = msgspec.field(default_factory=dict)
    dropped: int = 0


def time_loop(ask: LoopAsk) -> LoopTiming:
    """Load, one frame, warm up, then the timed frames. Raises ShelfcamError."""
    resident_before, _ = read_memory()
    loading = time.perf_counter_ns()
    with opened(Path(ask.bundle), ask.model, ask.candidate, ask.threads) as bench:
        load_ms = (time.perf_counter_ns() - loading) / 1e6
        _watch(bench, Limits(1, 0.0), 0.0)
        first_ms = (time.monotonic_ns() - ask.started_ns) / 1e6
        _watch(bench, Limits(ask.warm_up_queries, ask.warm_up_s), 0.0)
        stopwatch = Stopwatch()
        bench = replace(bench, parts=replace(bench.parts, stopwatch=stopwatch))  # without the laps of the warm-up
        start = time.perf_counter_ns()
        camera = _watch(bench, Limits(ask.queries, ask.seconds), ask.fps)
        seconds = (time.perf_counter_ns() - start) / 1e9
        resident, peak = read_memory()
    laps = stopwatch.report().items()
    return LoopTiming(
        times_ms=tuple(camera.times_ms),
        seconds=seconds,
        load_ms=load_ms,
        first_ms=first_ms,
        resident_before=resident_before,
        resident=resident,
        peak=peak,
        stages={name: Stage(p50_ms=s.p50_ms, p90_ms=s.p90_ms, p99_ms=s.p99_ms, laps=s.laps) for name, s in laps},
        dropped=camera.dropped,
    )


def _watch(bench: Bench, limits: Limits, fps: float) -> Camera:
    with MemoryFrames(bench.frames, _ENDLESS) as frames:
        camera = Camera(frames, fps, limits, bench.now_ns, lambda nanoseconds: time.sleep(nanoseconds / 1e9))
        loop.run(camera.ticks(), bench.parts)
    return camera


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    expendable()
    ask = msgspec.json.decode(argv[0], type=LoopAsk)
    try:
        result = time_loop(ask)
    except ShelfcamError as error:
        result = LoopTiming(failure=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
