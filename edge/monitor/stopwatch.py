"""How long each stage of the spine takes, kept in a fixed amount of memory (but for benchmarks, which want every lap)."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left

import msgspec
import numpy as np

STAGES = ("capture", "preprocess", "inference", "decode", "sink")
"""capture: waiting for the tick, reading and checking it; sink: shelf update and commit."""

_KEEP = 8_192  # laps a stage; older ones are overwritten


BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the histogram's buckets, in seconds: from a resize to a camera that is waited for."""

_BOUNDS_NS = tuple(round(bound * 1e9) for bound in BOUNDS_S)


class Histogram(msgspec.Struct, frozen=True):
    """All laps of one stage since the start. ``counts``: laps per bucket of BOUNDS_S, with those above the last bound at the end."""

    counts: tuple[int, ...]
    sum_s: float


class StageStats(msgspec.Struct, frozen=True):
    """Milliseconds over the last laps of one stage."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    laps: int


class _Laps:
    """Of one stage, in nanoseconds."""

    __slots__ = ("buckets", "count", "ring", "sum_ns")

    def __init__(self) -> None:
        self.ring = array("q", bytes(8 * _KEEP))
        self.count = 0
        self.buckets = [0] * (len(_BOUNDS_NS) + 1)
        self.sum_ns = 0


class Stopwatch:
    """``lap(stage)`` books the time since the previous lap to that stage; ``restart`` forgets it.

    A pipeline's models have stages of their own ("model/inference"), which are there from their first lap on.
    ``every_lap``: the report covers all laps, and memory grows with them: for runs that end.
    """

    def __init__(self, *, every_lap: bool = False) -> None:
        self._every_lap = every_lap
        self.clear()

    def clear(self) -> None:
        """Forget all laps, as those of a warm-up, and start the next one now."""
        self._stages: dict[str, _Laps] = {stage: _Laps() for stage in STAGES}
        self._last_ns = time.perf_counter_ns()

    def restart(self) -> None:
        """Start the next lap now."""
        self._last_ns = time.perf_counter_ns()

    def lap(self, stage: str, *, counts: bool = True) -> None:
        """Book the time since the last lap to ``stage``; where it does not count (a tick in which no model was asked), the
        next one begins all the same."""
        now = time.perf_counter_ns()
        if not counts:
            self._last_ns = now
            return
        took = now - self._last_ns
        laps = self._stages.get(stage)
        if laps is None:
            laps = self._stages[stage] = _Laps()
        ring = laps.ring
        if self._every_lap and laps.count == len(ring):
            ring.frombytes(bytes(8 * laps.count))
        ring[laps.count % len(ring)] = took
        laps.count += 1
        laps.buckets[bisect_left(_BOUNDS_NS, took)] += 1
        laps.sum_ns += took
        self._last_ns = now

    def histograms(self) -> dict[str, Histogram]:
        """Every stage's laps since the start; may be asked from another thread, and then is at most a lap behind."""
        return {stage: Histogram(tuple(laps.buckets), laps.sum_ns / 1e9) for stage, laps in list(self._stages.items())}

    def report(self) -> dict[str, StageStats]:
        """Percentiles (linear interpolation, NumPy's default) of every stage that had a lap."""
        stats = {}
        for stage, laps in self._stages.items():
            kept = min(laps.count, len(laps.ring))
            if kept:
                p50, p90, p99 = np.percentile(np.frombuffer(laps.ring, dtype=np.int64)[:kept] / 1e6, [50, 90, 99])
                stats[stage] = StageStats(float(p50), float(p90), float(p99), laps.count)
        return stats
