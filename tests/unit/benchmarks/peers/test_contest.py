"""Rounds, agreement and ratios with workers of known latency and known answers."""

from __future__ import annotations

import os

import pytest

from benchmarks.peers.contest import Settings, contest
from benchmarks.peers.judge import AGREE_MIN, agreement, fastest_first, find, judge, ratios
from benchmarks.record.spec import record_id
from benchmarks.record.stats import paired_ratio

SETTINGS = Settings(threads=1, cores=(max(os.sched_getaffinity(0)),), rounds=3, seconds=0.03, starts=2)


def run(*entries):
    """(JudgedEntry, missing)."""
    return judge(contest(entries, SETTINGS, lambda text: None, lambda: None), SETTINGS)


def test_known_latencies_come_out(fake_entry) -> None:
    steps: list[int] = []
    results = contest(
        [fake_entry(None, ms="2"), fake_entry("slow", ms="40")], SETTINGS, lambda text: None, lambda: steps.append(1)
    )
    judged, missing = judge(results, SETTINGS)
    assert not missing
    assert len(steps) == 2 * (1 + SETTINGS.rounds)
    ours, slow = judged
    assert [len(one.record.rounds) for one in judged] == [3, 3]
    assert ours.record.p50_ms >= 2
    assert slow.record.p50_ms >= 40, "a sleep is never shorter than asked for"
    assert slow.record.throughput <= 25
    assert slow.record.p50_ms <= slow.record.p90_ms <= slow.record.p99_ms <= slow.record.max_ms
    assert slow.record.queries == sum(one.queries for one in slow.record.rounds)
    assert slow.record.stages["start"].laps == SETTINGS.starts
    assert 0 < slow.record.memory["resident"] <= slow.record.memory["peak"]
    assert [record_id(one.record) for one in judged] == [
        f"loop/colour/onnx-a/1×8×8×3/{name}/1t" for name in ("shelfcam", "slow")
    ]
    (ratio,) = ratios(judged, "onnx-a")
    rates = [[one.queries / one.seconds for one in side.record.rounds] for side in (ours, slow)]
    assert (ratio.value, ratio.low, ratio.high) == paired_ratio(*rates)
    assert (ratio.numerator, ratio.denominator) == tuple(record_id(one.record) for one in judged)
    assert {(one.record.bench, one.record.runtime.name) for one in fastest_first(judged)} == {
        ("loop", "shelfcam"),
        ("loop", "slow"),
    }
    assert fastest_first(judged)[0].record.throughput == max(one.record.throughput for one in judged)


def test_a_fast_wrong_peer_is_no_peer(fake_entry) -> None:
    judged, missing = run(fake_entry(None), fake_entry("wrong", says="1"))
    wrong = find(judged, "wrong", "loop", "onnx-a")
    assert wrong is not None
    assert wrong.agreement == pytest.approx(1 / 3)
    assert not wrong.agrees
    assert not ratios(judged, "onnx-a")
    assert [one.name for one in missing] == ["ratio to wrong, loop, onnx-a"]
    assert "33%" in missing[0].reason


def test_a_peer_that_fails_is_missing_and_the_others_go_on(fake_entry) -> None:
    judged, missing = run(
        fake_entry(None), fake_entry("refuses", dies="load"), fake_entry("tires", dies="round"), fake_entry("steady")
    )
    assert [one.record.runtime.name for one in judged] == ["shelfcam", "steady"]
    assert [(one.name, one.reason.rpartition(": ")[2]) for one in missing] == [
        ("refuses, loop, onnx-a", "this file is not to my taste"),
        ("tires, loop, onnx-a", "out of breath"),
    ]
    assert len(ratios(judged, "onnx-a")) == 1


def test_without_our_own_side_nothing_is_judged(fake_entry) -> None:
    judged, missing = run(fake_entry(None, dies="load"), fake_entry("steady"))
    assert not judged
    assert {one.name for one in missing} == {"shelfcam, loop, onnx-a", "steady, loop, onnx-a"}


def test_loop_and_bare_are_never_mixed(fake_entry) -> None:
    judged, missing = run(fake_entry(None, "loop"), fake_entry(None, "bare"), fake_entry("steady", "bare"))
    assert not missing
    assert [ratio.numerator.partition("/")[0] for ratio in ratios(judged, "onnx-a")] == ["bare"]


def test_agreement() -> None:
    assert agreement([1, 2, 3, 4], [1, 2, 0, 4]) == 0.75 < AGREE_MIN
    for ours, theirs in (([], []), ([1], [1, 2])):
        with pytest.raises(ValueError, match="no agreement"):
            agreement(ours, theirs)
