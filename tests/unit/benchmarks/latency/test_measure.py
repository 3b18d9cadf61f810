"""``bench latency``: what is measured of whom, and what becomes of a long run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from benchmarks.latency import measure
from benchmarks.latency.measure import merge_stages, minutes, overhead_check, processes
from benchmarks.latency.show import show_latency
from benchmarks.measure import alternation, watch
from benchmarks.record.schema import Percentiles, Report, record_id
from tests.fakes.timings import latency_plan, timing

STAGES = {"inference": Percentiles(p50_ms=4.0, p90_ms=5.0, p99_ms=6.0, laps=10)}


def test_bare_then_loop_then_the_fastest_for_long(tmp_path: Path, fake_processes: list[str]) -> None:
    asked = latency_plan(tmp_path, "onnx-fp32", "onnx-int8", sustained_s=600.0)
    steps: list[str] = []
    report = measure.measure(asked, steps.append)
    assert len(steps) == processes(asked) == len(fake_processes) == 2 * 2 * 4 + 2
    assert fake_processes[:8] == [
        "bare onnx-fp32 1 1", "bare onnx-fp32 2 1", "bare onnx-int8 1 1", "bare onnx-int8 2 1",
        "bare onnx-int8 2 1", "bare onnx-int8 1 1", "bare onnx-fp32 2 1", "bare onnx-fp32 1 1",
    ]  # fmt: skip
    assert fake_processes[-2:] == ["bare onnx-int8 1 600", "bare onnx-int8 2 600"]
    benches = [record.bench for record in report.records]
    assert benches == ["latency"] * 4 + ["latency-loop"] * 4 + ["latency-sustained"] * 2
    assert len({record_id(record) for record in report.records}) == 10
    assert [(ratio.value, "1t" in ratio.name) for ratio in report.ratios] == [(0.5, True), (0.5, False)]
    loop = report.records[4]
    assert loop.stages["inference"] == Percentiles(p50_ms=4.0, p90_ms=5.0, p99_ms=6.0, laps=20)
    assert (loop.p50_ms, loop.max_ms) == (6.0, 50.0)
    thermal = report.records[0].thermal
    assert thermal["temperature_c_before"] == 40.0
    assert thermal["temperature_c_before"] < thermal["temperature_c_after"]
    assert thermal["temperature_c_max"] >= thermal["temperature_c_before"]
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_a_fixed_rate_says_what_was_passed_over_and_a_failure_is_missing(tmp_path: Path, fake_processes: list[str]) -> None:
    report = measure.measure(latency_plan(tmp_path, "onnx-int8", "tflite-int8", fps=10.0), lambda _: None)
    camera = [record for record in report.records if record.bench == "latency-camera"]
    assert [record.model.candidate for record in camera] == ["onnx-int8"] * 2
    assert "were due: 20, of which 6 were passed over" in camera[0].notes[0]
    assert [(one.queries, one.seconds) for one in camera[0].rounds] == [(7, 0.104)] * 2
    assert (camera[0].queries, camera[0].throughput) == (14, pytest.approx(7 / 0.104)), "of the loop, not of the camera"
    assert (camera[0].p50_ms, camera[0].max_ms) == (6.0, 50.0)
    assert [missing.name for missing in report.missing] == ["latency-camera/tflite-int8/1t", "latency-camera/tflite-int8/2t"]
    assert "no runtime" in report.missing[0].reason


def test_a_loop_that_would_not_fit_into_memory_is_not_begun(
    tmp_path: Path, fake_processes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alternation, "memory_left", lambda: 1_000)
    report = measure.measure(latency_plan(tmp_path, "onnx-int8"), lambda _: None)
    assert not [asked for asked in fake_processes if asked.startswith("loop")]
    assert [missing.name for missing in report.missing] == ["latency-loop/onnx-int8/1t", "latency-loop/onnx-int8/2t"]
    assert "MB of memory" in report.missing[0].reason


def test_a_board_that_slowed_down_and_a_rail_that_was_lost(
    tmp_path: Path, fake_processes: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readings fail in the second process, and the board is slow in the middle of it alone."""
    flags, starts = iter([0.0] * 3 + [1.0] + [0.0] * 100), []

    class Meter:
        def __init__(self, *_) -> None:
            starts.append(None)
            self.joules = {"core": 2.0} if len(starts) == 2 else {"core": 2.0, "ram": 1.0}
            self.lost = {"ram"} if len(starts) == 2 else set()

        def sample(self, now_s: float) -> None: ...

        def finish(self, now_s: float) -> None: ...

    monkeypatch.setattr(watch, "EnergyMeter", Meter)
    monkeypatch.setattr(watch, "read_thermal", lambda: {"throttled_cpufreq": next(flags)})
    asked = latency_plan(tmp_path, "onnx-int8")
    report = measure.measure(replace(asked, subjects=asked.subjects[:1]), lambda _: None)
    bare, looped = report.records
    assert bare.energy_j == {"core": 4.0}
    assert bare.notes[-1].startswith("no joules of ram")
    assert (looped.energy_j, len(looped.notes)) == ({"core": 4.0, "ram": 2.0}, 1)
    assert bare.thermal == {"throttled_cpufreq_before": 0.0, "throttled_cpufreq_after": 1.0, "throttled_cpufreq_max": 1.0}
    assert set(looped.thermal.values()) == {0.0}
    show_latency(report)
    shown = capsys.readouterr().out
    assert "throttled_cpufreq_max" in shown
    assert "throttled_cpufreq_before" not in shown
    assert "throttling" in shown
    assert "no joules of ram" in shown


def test_minutes_of_a_long_run() -> None:
    rounds = minutes(timing([500.0] * 300))  # 150 s
    assert [(one.queries, one.seconds) for one in rounds] == [(120, 60.0), (120, 60.0), (60, 30.0)]
    assert [one.queries for one in minutes(timing([500.0] * 299))] == [120, 179]
    assert [one.queries for one in minutes(timing([5.0] * 3))] == [3]
    hot = minutes(timing([500.0] * 120 + [1000.0] * 60))
    assert [one.p50_ms for one in hot] == [500.0, 1000.0]


def test_stages_of_rounds() -> None:
    later = {"inference": Percentiles(p50_ms=6.0, p90_ms=9.0, p99_ms=10.0, laps=4)}
    assert merge_stages([STAGES, later]) == {"inference": Percentiles(p50_ms=5.0, p90_ms=7.0, p99_ms=8.0, laps=14)}
    assert merge_stages([]) == {}


def test_the_cost_of_measuring_is_said(tmp_path: Path) -> None:
    ticks = iter(range(0, 10**12, 100))  # a clock on which every reading takes 100 ns
    check = overhead_check(lambda: next(ticks))
    assert check.value == pytest.approx(0.2, rel=0.01)
    assert check.holds
