from __future__ import annotations

import msgspec
import pytest

from benchmarks.latency import measure
from benchmarks.measure import watch
from benchmarks.measure.loop_timing import LoopTiming
from benchmarks.record.schema import Percentiles
from edge.errors import BackendError
from tests.fakes.timings import timing

INFERENCE = Percentiles(p50_ms=4.0, p90_ms=5.0, p99_ms=6.0, laps=10)


@pytest.fixture
def fake_processes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Processes that answer at once: int8 takes 4 ms, float 8, the loop 2 more. Returns who was asked, in order."""
    asked: list[str] = []

    def bare(one, length, timeout_s):
        asked.append(f"bare {one.candidate.name} {one.threads} {length.seconds:g}")
        return timing([4.0 if "int8" in one.candidate.name else 8.0] * 10)

    def looped(module, ask, result, timeout_s):
        asked.append(f"loop {ask.candidate} {ask.threads} {ask.fps:g}")
        if ask.candidate == "tflite-int8":
            raise BackendError("no runtime")
        plain = timing([6.0] * 9 + [50.0])
        return LoopTiming(**msgspec.structs.asdict(plain), stages={"inference": INFERENCE}, dropped=3)

    monkeypatch.setattr(measure, "time_in_process", bare)
    monkeypatch.setattr(measure, "time_in_child", looped)
    heat = iter(range(40, 400))
    monkeypatch.setattr(watch, "read_thermal", lambda: {"temperature_c": float(next(heat)), "throttled_cpufreq": 0.0})
    return asked
