"""Time one candidate inside the real loop, from the frame to the written event, in this process: ``python -m benchmarks.measure.loop_timing
REQUEST``, REQUEST one JSON object. The result is one JSON object (``LoopTiming``) on standard output."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.measure.camera import PacedCamera
from benchmarks.measure.share import FRAME_HW_PX, find_loader, frames, open_loaded, stages_of
from benchmarks.measure.single_stream import RunLength
from benchmarks.measure.timing import Timing, TimingRequest, answer
from benchmarks.record.host import read_memory
from benchmarks.record.schema import Percentiles
from edge import loop
from edge.data import U8Image
from edge.sources.arrays import ArrayFrames

_ENDLESS = 2**62


class LoopTimingRequest(TimingRequest, frozen=True, kw_only=True):
    """``fps``: the camera's rate; 0 as fast as the loop."""

    fps: float = 0.0


class LoopTiming(Timing, frozen=True, kw_only=True):
    """``times_ms``: of every frame that was due, until its event was written; ``stages``: the loop's own stopwatch; ``dropped``:
    frames that were passed over, of ``times_ms``."""

    stages: dict[str, Percentiles] = msgspec.field(default_factory=dict)
    dropped: int = 0

    @property
    def answered(self) -> int:
        """Frames that were not passed over."""
        return len(self.times_ms) - self.dropped


def time_loop(request: LoopTimingRequest) -> LoopTiming:
    """Load, one blank frame, and only then make the frames; warm up, then the timed frames. Raises ShelfcamError."""
    loader, candidate = find_loader(Path(request.bundle), request.model, request.candidate, request.threads)
    resident_before, _ = read_memory()
    loading = time.perf_counter_ns()
    active = loader.load(candidate)
    load_ms = (time.perf_counter_ns() - loading) / 1e6
    with (
        tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place,
        open_loaded(loader, active, Path(place)) as parts,
    ):
        _watch(parts, [np.zeros((*FRAME_HW_PX, 3), np.uint8)], RunLength(1, 0.0), 0.0)
        first_ms = (time.monotonic_ns() - request.started_ns) / 1e6
        pictures = frames()
        _watch(parts, pictures, RunLength(request.warm_up_queries, request.warm_up_s), 0.0)
        parts.stopwatch.clear()  # of the laps of the warm-up
        start = time.perf_counter_ns()
        camera = _watch(parts, pictures, RunLength(request.queries, request.seconds), request.fps)
        seconds = (time.perf_counter_ns() - start) / 1e9
        resident, peak = read_memory()
    return LoopTiming(
        times_ms=tuple(camera.times_ms),
        seconds=seconds,
        load_ms=load_ms,
        first_ms=first_ms,
        resident_before=resident_before,
        resident=resident,
        peak=peak,
        stages=stages_of(parts.stopwatch),
        dropped=camera.dropped,
    )


def _watch(parts: loop.Parts, pictures: Sequence[U8Image], length: RunLength, fps: float) -> PacedCamera:
    with ArrayFrames(pictures, _ENDLESS) as source:
        camera = PacedCamera(source, fps, length, time.perf_counter_ns, lambda nanoseconds: time.sleep(nanoseconds / 1e9))
        loop.run(camera.ticks(), parts)
    return camera


if __name__ == "__main__":
    raise SystemExit(answer(sys.argv[1:], LoopTimingRequest, time_loop))
