"""The decision: a planted slowdown is found, a machine is never slower than itself, improvements are told."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from benchmarks.baseline_judge import TOGETHER, Judged, judge, regressions
from benchmarks.spec import Missing, Record, Round, record_id
from tests.fakes.zoo_reports import NETS, board, mac_driven, make_record

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


def verdicts(rows: list[Judged]) -> dict[str, str]:
    return {row.name: row.verdict for row in rows}


@pytest.mark.parametrize("seed", range(20))
def test_a_machine_is_not_slower_than_itself(seed: int) -> None:
    alone = judge(measured(seed), measured(1000 + seed))
    zoo = judge(measured(seed, NETS, rounds=7), measured(1000 + seed, NETS, rounds=7))
    assert set(verdicts(alone).values()) == set(verdicts(zoo).values()) == {"same"}
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
    rows = judge(measured(1, slower={NETS[0].name: 1.1}, rounds=3, noise=0.15), measured(2, rounds=3, noise=0.15))
    assert rows[0].verdict == "same"
    assert rows[0].detectable is not None
    assert rows[0].detectable > 0.1


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
