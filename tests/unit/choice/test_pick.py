"""The choice, from made-up measurements."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("onnx")

from edge.bundle.reader import open_bundle
from edge.choice.loader import choose
from edge.choice.measure import Prober
from edge.choice.pick import ProbeResult, make_row, pick, safe_order
from edge.choice.store import ChoiceStore
from edge.errors import GateError
from edge.gate import Measured
from edge.manifest import Model
from tests.fakes.several import write_two_headed_bundle
from tests.fakes.tiny import write_colour_bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    orders = {"first": (0, 1, 2), "second": (0, 1, 2), "third": (0, 1, 2)}
    return write_colour_bundle(tmp_path_factory.mktemp("m") / "b", orders).manifest.models[0]


def probe(name: str, ms: float, cosine: float = 0.99, agreement: float = 1.0, failure: str | None = None) -> ProbeResult:
    judged = Measured(images=64, logit_cosine=cosine, top1_agreement=agreement)
    return ProbeResult(candidate=name, latency_ms=(ms, ms, ms * 9), judged={"classify": judged}, failure=failure)


def rows(model: Model, *probes: ProbeResult):
    return [make_row(model.candidate(p.candidate), [p], model) for p in probes]


def test_the_fastest_that_passes(model: Model) -> None:
    choice = pick(rows(model, probe("first", 5), probe("second", 2), probe("third", 1, cosine=0.5)))
    assert choice is not None
    assert choice.candidate == "second"
    assert "2.00 ms" in choice.reason
    assert "next is first, 5.00 ms (2.50×)" in choice.reason
    assert "third: logit cosine 0.500 < 0.900" in choice.reason


def test_equal_speed_goes_to_the_wider_margin(model: Model) -> None:
    choice = pick(rows(model, probe("first", 2, cosine=0.95), probe("second", 2, cosine=0.99)))
    assert choice is not None
    assert choice.candidate == "second"


def test_one_that_cannot_run_is_out_with_its_reason(model: Model) -> None:
    choice = pick(rows(model, probe("first", 5), probe("second", 1, failure="litert is not installed")))
    assert choice is not None
    assert choice.candidate == "first"
    assert "litert is not installed" in choice.reason


def test_none_passes_is_an_error_with_the_table(model: Model) -> None:
    bad = rows(model, probe("first", 5, cosine=0.1), probe("second", 1, agreement=0.1))
    assert pick(bad) is None
    with pytest.raises(GateError) as caught:
        choose(model, bad)
    assert "first: logit cosine 0.100 < 0.900" in str(caught.value)
    assert "second: top-1 agreement 0.100 < 0.800" in str(caught.value)


def test_rounds_are_summed_by_the_median_of_medians(model: Model) -> None:
    probes = [probe("first", 3), probe("first", 100), probe("first", 4)]
    assert make_row(model.candidates[0], probes, model).p50_ms == 4


def test_without_a_golden_set_speed_alone_decides(model: Model) -> None:
    unjudged = msgspec.structs.replace(model.first, golden=None, gate=None)
    blind = msgspec.structs.replace(model, answers=(unjudged,))
    row = make_row(blind.candidates[0], [probe("first", 3, cosine=0.0)], blind)
    assert row.passes
    assert row.reason == "no golden set to judge by"


def test_safe_is_the_widest_margin_at_export(model: Model) -> None:
    assert [c.name for c in safe_order(model)] == ["first", "second", "third"]
    worse = msgspec.structs.replace(model.candidates[0].quality[0], logit_cosine=0.91)
    first = msgspec.structs.replace(model.candidates[0], quality=(*model.candidates[0].quality, worse))
    changed = msgspec.structs.replace(model, candidates=(first, *model.candidates[1:]))
    assert [c.name for c in safe_order(changed)] == ["second", "third", "first"], "the worst arithmetic counts"


def test_choices_are_remembered_and_damage_is_forgotten(model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    choice = pick(rows(model, probe("first", 5)))
    assert choice is not None
    store = ChoiceStore(tmp_path / "state" / "choices.json")
    assert store.recall("k") is None
    for number in range(20):
        store.remember(f"k{number}", choice)
    assert store.recall("k19") == choice
    assert store.recall("k0") is None, "the oldest are dropped"
    (tmp_path / "state" / "choices.json").write_text('{"schema": 1, "choices": [}')
    assert store.recall("k19") is None
    assert "measured again" in caplog.text


def test_the_opened_bundle_knows_its_candidates(model: Model, colour_bundle: Path) -> None:
    assert open_bundle(colour_bundle).manifest.models[0].candidate("none") is None


def test_every_answer_has_a_gate_of_its_own_and_the_narrowest_is_shown(tmp_path: Path) -> None:
    right, wrong = (write_two_headed_bundle(tmp_path / name, wrong_embedding=name == "wrong") for name in ("right", "wrong"))
    (row,) = Prober(right, right.manifest.models[0], 1).measure(lambda *_: None, rounds=1, runs=1)
    assert row.passes
    assert row.logit_cosine == pytest.approx(1.0)
    prober = Prober(wrong, wrong.manifest.models[0], 1)
    row = prober.judge(wrong.manifest.models[0].candidates[0], "cpu")
    assert not row.passes
    assert row.reason.startswith("look: logit cosine 0."), row.reason
    assert row.logit_cosine is not None
    assert row.logit_cosine < 0.9


def test_the_safe_candidate_is_known_by_its_worst_answer(tmp_path: Path) -> None:
    (model,) = write_two_headed_bundle(tmp_path / "b").manifest.models
    good = model.candidates[0]
    poor = msgspec.structs.replace(
        good, name="poor", quality=(good.quality[0], msgspec.structs.replace(good.quality[1], logit_cosine=0.91))
    )
    assert [c.name for c in safe_order(msgspec.structs.replace(model, candidates=(poor, good)))] == ["onnx-a", "poor"]
