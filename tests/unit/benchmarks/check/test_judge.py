"""The decision: a planted slowdown is found, a machine is never slower than itself, improvements are told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.check.judge import TOGETHER, RecordVerdict, blind, judge, regressions, saw_nothing
from benchmarks.record.rounds import round_ms
from benchmarks.record.schema import Missing, Record, Round, read_report, record_id
from tests.fakes.zoo_reports import NETS, board, mac_driven, make_record, peak_record

ROUNDS = 20
NOISE = 0.05


def measured(seed: int, nets=NETS[:1], *, slower=None, rounds: int = ROUNDS, noise: float = NOISE) -> list[Record]:
    """One run: each round's median scatters by ``noise``, and a warming machine slows down by a tenth from the first to the last."""
    generator = np.random.default_rng(seed)
    records = []
    for net in nets:
        ms = mac_driven(net, "int8") * (slower or {}).get(net.name, 1.0)
        times = ms * np.linspace(1.0, 1.1, rounds) * np.exp(generator.normal(0, noise, rounds))
        made = tuple(Round(queries=50, seconds=t * 50 / 1000, p50_ms=float(t)) for t in times)
        records.append(msgspec.structs.replace(make_record(net, "onnx-int8", ms, host=board()), rounds=made))
    return records


def verdicts(rows: list[RecordVerdict]) -> dict[str, str]:
    return {row.name: row.verdict for row in rows}


@pytest.mark.parametrize("seed", range(20))
def test_a_machine_is_not_slower_than_itself(seed: int) -> None:
    alone = judge(measured(seed), measured(1000 + seed))
    zoo = judge(measured(seed, NETS, rounds=7), measured(1000 + seed, NETS, rounds=7))
    assert set(verdicts(alone).values()) == {"same"}
    assert set(verdicts(zoo).values()) <= {"same", "cannot tell"}
    assert len(zoo) == len(NETS) + 1


@pytest.mark.parametrize("seed", range(20))
def test_a_tenth_slower_is_found(seed: int) -> None:
    slow = judge(measured(seed, slower={NETS[0].name: 1.1}), measured(1000 + seed))
    assert verdicts(slow) == {record_id(measured(0)[0]): "slower"}
    everything = {net.name: 1.1 for net in NETS}
    zoo = judge(measured(seed, NETS, slower=everything, rounds=7), measured(1000 + seed, NETS, rounds=7))
    assert verdicts(zoo)[TOGETHER] == "slower"
    assert regressions(zoo)


@pytest.mark.parametrize("seed", range(20))
def test_one_network_a_tenth_slower_is_found_among_many_on_a_quiet_machine(seed: int) -> None:
    zoo = judge(
        measured(seed, NETS, slower={"googlenet": 1.1}, rounds=7, noise=0.008),
        measured(1000 + seed, NETS, rounds=7, noise=0.008),
    )
    assert [row.name.split("/")[1] for row in regressions(zoo)] == ["googlenet"]


def test_improvements_are_told_and_pass() -> None:
    rows = judge(measured(1, slower={NETS[0].name: 0.85}), measured(2))
    assert [row.verdict for row in rows] == ["faster"]
    assert rows[0].change is not None
    assert rows[0].change.value == pytest.approx(0.85, abs=0.03)
    assert regressions(rows) == []


def test_a_sure_but_tiny_change_is_none() -> None:
    rows = judge(measured(1, slower={NETS[0].name: 1.01}, noise=0.0001), measured(2, noise=0.0001))
    assert rows[0].verdict == "same"
    assert rows[0].change is not None
    assert rows[0].change.p < 1e-6


def test_noise_hides_and_the_row_says_how_much() -> None:
    rows = judge(measured(1, slower={NETS[0].name: 1.1}, rounds=3, noise=0.3), measured(2, rounds=3, noise=0.3))
    assert rows[0].verdict == "cannot tell"
    assert rows[0].detectable is not None
    assert rows[0].detectable > 0.25
    assert blind(rows) == rows
    assert saw_nothing(rows)


def test_lost_new_and_unmentioned_records() -> None:
    old, new = measured(1, NETS[:4]), measured(2, NETS[2:5])
    rows = verdicts(
        judge(
            new,
            old,
            [
                Missing(name=f"{NETS[0].name}/onnx-int8/1t", reason="out of memory"),
                Missing(name=f"{NETS[1].name}@96", reason="no"),
            ],
        )
    )
    by_network = {name.split("/")[1]: verdict for name, verdict in rows.items() if name != TOGETHER}
    assert by_network == {
        NETS[0].name: "lost",
        NETS[1].name: "not measured",
        NETS[2].name: "same",
        NETS[3].name: "same",
        NETS[4].name: "new",
    }
    bundle = judge([], measured(1), [Missing(name="zoo/onnx-int8/1t", reason="crashed")])
    assert [(row.verdict, row.note) for row in bundle] == [("lost", "crashed")]
    few = judge(measured(1, rounds=2), measured(2))
    assert [row.verdict for row in few] == ["too few rounds"]
    assert regressions(few) == []


QUICK_ZOO = Path(__file__).parents[4] / "benchmarks" / "reports" / "epyc-vnni-2026-11-24-quick" / "zoo.json"


def again(seed: int, *, slow: str = "", times: float = 2.0) -> list[Record]:
    """The kept quick zoo once more: as many rounds that scatter as each record's own did, one network so many times slower."""
    generator = np.random.default_rng(seed)
    records = []
    for record in read_report(QUICK_ZOO).records:
        logs = np.log(round_ms(record.rounds))
        factor = times if record.model.network == slow else 1.0
        drawn = factor * np.exp(generator.normal(logs.mean(), logs.std(ddof=1), len(logs)))
        rounds = tuple(msgspec.structs.replace(r, p50_ms=float(ms)) for r, ms in zip(record.rounds, drawn, strict=True))
        records.append(msgspec.structs.replace(record, rounds=rounds))
    return records


@pytest.mark.parametrize("seed", range(20))
def test_three_rounds_show_a_doubled_network(seed: int) -> None:
    rows = regressions(judge(again(seed, slow="squeezenet_v1_1"), read_report(QUICK_ZOO).records))
    assert {row.name for row in rows} >= {record_id(r) for r in again(seed) if r.model.network == "squeezenet_v1_1"}
    assert {row.name.split("/")[1] for row in rows if row.name != TOGETHER} == {"squeezenet_v1_1"}
    assert regressions(judge(again(seed), read_report(QUICK_ZOO).records)) == []


def test_three_rounds_show_a_network_slower_by_a_quarter_in_most_runs() -> None:
    baseline = read_report(QUICK_ZOO).records
    found = [regressions(judge(again(seed, slow="squeezenet_v1_1", times=1.25), baseline)) for seed in range(20)]
    assert sum("squeezenet_v1_1" in row.name for rows in found for row in rows) >= 0.8 * 20 * 4


@pytest.mark.parametrize("seed", range(20))
def test_three_rounds_of_many_networks_find_nothing_in_themselves(seed: int) -> None:
    noise = 0.015  # which is what the kept quick zoo scatters by
    rows = judge(measured(seed, NETS, rounds=3, noise=noise), measured(1000 + seed, NETS, rounds=3, noise=noise))
    assert set(verdicts(rows).values()) <= {"same", "cannot tell"}
    assert len(blind(rows)) < len(NETS) / 2


def sustained(seed: int) -> list[Record]:
    """Minutes that scatter by 0.2 %, of starts that differ by 2 %."""
    generator = np.random.default_rng(seed)
    minutes = 10 * np.exp(generator.normal(0, 0.02)) * np.exp(generator.normal(0, 0.002, 10))
    rounds = tuple(Round(queries=6000, seconds=60.0, p50_ms=float(ms)) for ms in minutes)
    record = make_record(NETS[4], "onnx-int8", 10.0, host=board(), bench="latency-sustained")
    return [msgspec.structs.replace(record, rounds=rounds)]


@pytest.mark.parametrize("seed", range(20))
def test_minutes_of_one_start_are_shown_and_not_judged(seed: int) -> None:
    rows = judge(sustained(seed) + measured(seed), sustained(1000 + seed) + measured(1000 + seed))
    assert list(verdicts(rows).values()) == ["not judged", "same"]
    assert rows[0].change is not None
    assert "one start" in rows[0].note
    alone = judge(sustained(seed), sustained(1000 + seed))
    assert regressions(alone) == []
    assert saw_nothing(alone)
    lost = judge([], sustained(seed), [Missing(name="latency-sustained/onnx-int8/1t", reason="died")])
    assert [row.verdict for row in lost] == ["lost"]


def peak(shape: str, macs: int, gmac_per_s: float, *, seed: int) -> Record:
    """Of one shape, with rounds that scatter by 1 %."""
    generator = np.random.default_rng(seed)
    times_ms = macs / gmac_per_s / 1e6 * np.exp(generator.normal(0, 0.01, 10))
    record = peak_record("onnx-int8", host=board())
    facts = msgspec.structs.replace(record.model, model=shape, bundle=f"{shape}@0123456789ab", macs=macs)
    rounds = tuple(Round(queries=10, seconds=1.0, p50_ms=float(ms)) for ms in times_ms)
    return msgspec.structs.replace(record, model=facts, rounds=rounds)


def test_a_peak_is_held_against_the_one_of_the_other_shape() -> None:
    then = [peak("conv_3x3", 2_400_000_000, 200.0, seed=1)]
    same = judge([peak("conv_1x1", 1_100_000_000, 201.0, seed=2)], then)
    assert [(row.name, row.verdict) for row in same] == [("peak/onnxruntime/int8/1t", "same")]
    assert "conv_3x3@0123456789ab then, conv_1x1@0123456789ab now" in same[0].note
    slower = judge([peak("conv_1x1", 1_100_000_000, 150.0, seed=2)], then)
    assert [row.verdict for row in slower] == ["slower"]


@pytest.mark.parametrize("name", ["peak/onnx-int8/1t", "peak_3x3"])
def test_a_peak_that_fails_is_lost(name: str) -> None:
    then = [peak("conv_3x3", 2_400_000_000, 200.0, seed=1)]
    assert [row.verdict for row in judge([], then, [Missing(name=name, reason="died")])] == ["lost"]
    other = judge([], then, [Missing(name="peak/tflite-int8/1t", reason="died")])
    assert [row.verdict for row in other] == ["not measured"]
