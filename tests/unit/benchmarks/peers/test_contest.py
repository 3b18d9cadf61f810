"""Rounds with workers of known latency."""

from __future__ import annotations

from benchmarks.peers.contest import contest
from benchmarks.peers.judge import judge, ratios
from benchmarks.record.schema import record_id
from benchmarks.record.stats import paired_ratio


def test_known_latencies_come_out(fake_entry, settings) -> None:
    steps: list[int] = []
    results = contest(
        [fake_entry(None, ms="2"), fake_entry("slow", ms="40")], settings, lambda text: None, lambda: steps.append(1)
    )
    judged, missing = judge(results, settings)
    assert not missing
    assert len(steps) == 2 * (1 + settings.rounds)
    ours, slow = judged
    assert [len(one.record.rounds) for one in judged] == [3, 3]
    assert ours.record.p50_ms >= 2
    assert slow.record.p50_ms >= 40, "a sleep is never shorter than asked for"
    assert slow.record.throughput <= 25
    assert slow.record.p50_ms <= slow.record.p90_ms <= slow.record.p99_ms <= slow.record.max_ms
    assert slow.record.queries == sum(one.queries for one in slow.record.rounds)
    assert slow.record.stages["start"].laps == settings.starts
    assert 0 < slow.record.memory["resident"] <= slow.record.memory["peak"]
    assert [record_id(one.record) for one in judged] == [
        f"loop/colour/onnx-a/1×8×8×3/{name}/1t" for name in ("shelfcam", "slow")
    ]
    (ratio,) = ratios(judged, "onnx-a")
    rates = [[one.queries / one.seconds for one in side.record.rounds] for side in (ours, slow)]
    assert (ratio.value, ratio.low, ratio.high) == paired_ratio(*rates)
    assert (ratio.numerator, ratio.denominator) == tuple(record_id(one.record) for one in judged)


def test_a_peer_that_fails_is_missing_and_the_others_go_on(fake_entry, judge_all) -> None:
    judged, missing = judge_all(
        fake_entry(None), fake_entry("refuses", dies="load"), fake_entry("tires", dies="round"), fake_entry("steady")
    )
    assert [one.record.runtime.name for one in judged] == ["shelfcam", "steady"]
    assert [(one.name, one.reason.rpartition(": ")[2]) for one in missing] == [
        ("refuses, loop, onnx-a", "this file is not to my taste"),
        ("tires, loop, onnx-a", "out of breath"),
    ]
    assert len(ratios(judged, "onnx-a")) == 1
