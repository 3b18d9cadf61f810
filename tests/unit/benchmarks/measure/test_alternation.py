"""Rounds that alternate: the order, what a failure does to the others, and what becomes of the timings."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.measure import alternation
from benchmarks.measure.alternation import (
    Outcome,
    Schedule,
    alternate,
    memory_shortage,
    missing_of,
    need_memory,
    ratios_within,
    timed_record,
)
from benchmarks.measure.children import TooSlowError
from benchmarks.measure.single_stream import RunLength
from edge.errors import BackendError
from tests.fakes.timings import MB, manifest_bundle, subject, timing

LENGTH = RunLength(4, 0.0)


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> float:
        return self.s


def three(tmp_path: Path) -> list:
    return [subject(tmp_path / name, candidate=name) for name in ("onnx-fp32", "onnx-int8", "tflite-int8")]


def test_the_order_turns_from_round_to_round(tmp_path: Path) -> None:
    asked, steps = [], []

    def time_once(one, length, timeout_s):
        asked.append(one.candidate.name)
        return timing([1.0])

    outcomes = alternate(three(tmp_path), Schedule(3, LENGTH, 60), steps.append, time_once=time_once)
    forth = ["onnx-fp32", "onnx-int8", "tflite-int8"]
    assert asked == [*forth, *reversed(forth), *forth]
    assert len(steps) == 9
    assert [len(outcome.timings) for outcome in outcomes] == [3, 3, 3]


def test_one_that_fails_is_left_out_and_stops_nobody(tmp_path: Path) -> None:
    asked = []

    def time_once(one, length, timeout_s):
        asked.append(one.candidate.name)
        if one.candidate.name == "onnx-int8" and asked.count("onnx-int8") == 2:
            raise BackendError("died")
        return timing([1.0])

    outcomes = alternate(three(tmp_path), Schedule(4, LENGTH, 60), lambda _: None, time_once=time_once)
    assert [len(outcome.timings) for outcome in outcomes] == [4, 0, 4], "half of its rounds are no result"
    assert asked.count("onnx-int8") == 2
    assert missing_of(outcomes[1], "net@96") == alternation.Missing(name="net@96/onnx-int8/1t", reason="died")


class Processes:
    """Candidates whose processes take so many seconds each, or for ever, on a clock of their own."""

    def __init__(self, clock: Clock, **seconds: float | list[float]) -> None:
        self._clock, self._seconds = clock, {name.replace("_", "-"): took for name, took in seconds.items()}
        self.granted: list[tuple[str, float]] = []

    def time_once(self, one, length, timeout_s):
        name = one.candidate.name
        turn = sum(earlier == name for earlier, _ in self.granted)
        self.granted.append((name, timeout_s))
        took = self._seconds[name]
        needed_s = took[turn] if isinstance(took, list) else took
        self._clock.s += min(needed_s, timeout_s)
        if needed_s > timeout_s:
            raise TooSlowError(f"longer than {timeout_s:g} s")
        return timing([1.0])


def test_the_time_of_a_network_is_shared_by_its_processes(tmp_path: Path) -> None:
    clock = Clock()
    ran = Processes(clock, onnx_fp32=25, onnx_int8=25, tflite_int8=25)
    outcomes = alternate(three(tmp_path), Schedule(2, LENGTH, 90), lambda _: None, time_once=ran.time_once, now_s=clock.now)
    assert ran.granted == [("onnx-fp32", 30), ("onnx-int8", 30), ("tflite-int8", 30), ("tflite-int8", 5)]
    assert clock.s == 80, "nothing is begun that cannot be ended by all"
    assert [(len(outcome.timings), outcome.failure) for outcome in outcomes] == [(1, None)] * 3, "the complete round counts"


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_one_that_hangs_costs_nobody_else_a_round(tmp_path: Path, turn: int) -> None:
    clock, hang = Clock(), [1.0] * turn + [math.inf]
    ran = Processes(clock, onnx_fp32=4, onnx_int8=hang, tflite_int8=2)
    outcomes = alternate(three(tmp_path), Schedule(3, LENGTH, 90), lambda _: None, time_once=ran.time_once, now_s=clock.now)
    assert [len(outcome.timings) for outcome in outcomes] == [3, 0, 3]
    assert outcomes[1].failure is not None
    assert outcomes[1].failure.startswith("longer than")
    assert clock.s <= 90


def test_a_slow_candidate_beside_quick_ones_has_the_time_that_it_needs(tmp_path: Path) -> None:
    clock = Clock()
    ran = Processes(clock, onnx_fp32=25, onnx_int8=2, tflite_int8=1)
    outcomes = alternate(three(tmp_path), Schedule(3, LENGTH, 85), lambda _: None, time_once=ran.time_once, now_s=clock.now)
    assert [len(outcome.timings) for outcome in outcomes] == [3, 3, 3]
    assert clock.s == 84


def test_a_round_that_not_all_have_had_counts_for_nobody(tmp_path: Path) -> None:
    clock = Clock()
    ran = Processes(clock, onnx_fp32=[10, 19], onnx_int8=10, tflite_int8=10)
    outcomes = alternate(three(tmp_path), Schedule(2, LENGTH, 64), lambda _: None, time_once=ran.time_once, now_s=clock.now)
    assert [name for name, _ in ran.granted[3:]] == ["tflite-int8", "onnx-int8", "onnx-fp32"], "the last was short of time"
    assert [(len(outcome.timings), outcome.failure) for outcome in outcomes] == [(1, None)] * 3


def test_a_record_holds_all_queries_of_all_rounds(tmp_path: Path) -> None:
    outcome = Outcome(subject(tmp_path, "mobilenetv2_wd4"), (timing([1.0, 2.0, 3.0]), timing([4.0, 5.0, 100.0])))
    record = timed_record("zoo", outcome, thermal={"temperature_c_before": 40.0})
    assert (record.queries, record.p50_ms, record.max_ms) == (6, 3.5, 100.0)
    assert [item.p50_ms for item in record.rounds] == [2.0, 5.0]
    assert record.memory == {"resident_before": 50 * MB, "resident": 60 * MB, "peak": 70 * MB}
    assert record.stages["cold_start"].p50_ms == 300.0
    assert (record.model.network, record.model.family, record.model.precision) == ("mobilenetv2_wd4", "MobileNetV2", "fp32")
    assert record.thermal == {"temperature_c_before": 40.0}


def test_ratios_are_of_paired_rounds(tmp_path: Path) -> None:
    slow, quick, _ = three(tmp_path)
    drift = [1.0, 1.5, 3.0]  # the machine slows down, and both with it
    first = timed_record("zoo", Outcome(slow, tuple(timing([10 * d]) for d in drift)), thermal={})
    second = timed_record("zoo", Outcome(quick, tuple(timing([4 * d]) for d in drift)), thermal={})
    (ratio,) = ratios_within([first, second])
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.4, 0.4, 0.4))
    assert "onnx-int8 ÷ onnx-fp32" in ratio.name


def test_a_model_that_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = manifest_bundle(tmp_path, "vgg19", ["onnx-fp32"], bytes_=575 * MB)
    candidate = bundle.manifest.models[0].candidates[0]
    monkeypatch.setattr(alternation, "memory_left", lambda: 900 * MB)
    assert memory_shortage(candidate) == "needs about 1,350 MB of memory, 900 MB are free"
    with pytest.raises(BackendError, match="1,350 MB"):
        need_memory(candidate)
    for left in (1350 * MB, None):
        monkeypatch.setattr(alternation, "memory_left", lambda left=left: left)
        assert memory_shortage(candidate) is None
        need_memory(candidate)
