"""Stage times with a scripted clock."""

from __future__ import annotations

import pytest

from edge.monitor import stopwatch as module
from edge.monitor.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    now = {"ns": 0}
    monkeypatch.setattr(module.time, "perf_counter_ns", lambda: now["ns"])
    return now


def test_laps_go_to_their_stage(clock) -> None:
    watch = Stopwatch()
    for milliseconds in range(1, 101):
        clock["ns"] += milliseconds * 1_000_000
        watch.lap("inference")
        clock["ns"] += 500_000
        watch.lap("decode")
    report = watch.report()
    assert set(report) == {"inference", "decode"}
    assert report["inference"].p50_ms == pytest.approx(50.5)
    assert report["inference"].p90_ms == pytest.approx(90.1)
    assert report["inference"].p99_ms == pytest.approx(99.01)
    assert report["decode"].p99_ms == pytest.approx(0.5)


def test_one_spike_in_a_hundred_shows_in_p99_and_not_in_p50(clock) -> None:
    watch = Stopwatch()
    for index in range(1000):
        clock["ns"] += 1_000_000 if index % 100 else 50_000_000
        watch.lap("inference")
    stats = watch.report()["inference"]
    assert stats.p50_ms == pytest.approx(1.0)
    assert stats.p90_ms == pytest.approx(1.0)
    assert stats.p99_ms > 1.0


def test_memory_is_bounded_and_the_latest_laps_count(clock) -> None:
    watch = Stopwatch()
    for index in range(20_000):
        clock["ns"] += 9_000_000 if index < 10_000 else 1_000_000
        watch.lap("sink")
    stats = watch.report()["sink"]
    assert stats.laps == 20_000
    assert stats.p99_ms == pytest.approx(1.0), "the first ten thousand were overwritten"


def test_a_bench_may_keep_every_lap(clock) -> None:
    watch = Stopwatch(every_lap=True)
    for index in range(40_000):
        clock["ns"] += 9_000_000 if index < 10_000 else 1_000_000
        watch.lap("sink")
    stats = watch.report()["sink"]
    assert stats.laps == 40_000
    assert (stats.p50_ms, stats.p90_ms) == pytest.approx((1.0, 9.0)), "a quarter took 9 ms"
