"""Which measurements let a candidate into a bundle."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from edge.manifest import INT8_MAC_SHARE_MIN, Gate, Quality
from export.candidates import PLANS
from export.convert.options import QuantizeOptions
from export.judge.defaults import DEFAULT_GATE
from export.judge.naming import deliberate, describe, recipe_of
from export.judge.parity import EvaluationSet
from export.judge.verdict import decide, settle
from tests.fakes.candidates import onnx_candidate
from tests.fakes.tiny_net import tiny_model

PLAN = next(plan for plan in PLANS if plan.name == "onnx-int8")
FLOAT_PLAN = next(plan for plan in PLANS if plan.name == "onnx-fp32")


def labelled(right: int, of: int, source="held_out") -> EvaluationSet:
    """The float network calls every picture by class 0, and the truth agrees ``right`` times."""
    truth = np.array([0] * right + [1] * (of - right))
    return EvaluationSet(np.zeros((of, 4, 4, 3), np.uint8), np.tile(np.float32([1, 0]), (of, 1)), source, truth)


def unlabelled(of: int, source="held_out") -> EvaluationSet:
    return replace(labelled(of, of, source), truth=None)


def row(accuracy=None, cosine=0.99, agreement=0.95, source="held_out") -> Quality:
    return Quality(
        answer="classify",
        images=100,
        source=source,
        logit_cosine=cosine,
        top1_agreement=agreement,
        accuracy=accuracy,
        runtime="x",
        arithmetic="x",
    )


def candidate(*rows: Quality, precision="int8", share=1.0):
    return msgspec.structs.replace(onnx_candidate(), quality=rows, precision=precision, int8_mac_share=share)


@pytest.mark.parametrize(
    ("right", "lowest"),
    [(90, 0.89), (40, 0.392), (100, 0.99)],  # one point, or 98 % of it where that is stricter
)
def test_the_stricter_of_a_point_and_98_percent(right: int, lowest: float) -> None:
    gate = settle(DEFAULT_GATE, tiny_model(), [unlabelled(64), labelled(right, 100)])
    assert gate.accuracy_min == pytest.approx(lowest)
    assert (gate.accuracy_drop_max, gate.accuracy_share_min) == (0.01, 0.98)


def test_without_labels_the_gate_says_nothing_of_accuracy() -> None:
    gate = settle(DEFAULT_GATE, tiny_model(), [unlabelled(64)])
    assert gate == Gate(logit_cosine_min=0.98, top1_agreement_min=0.8)


def test_random_weights_are_judged_by_cosine_alone() -> None:
    model = replace(tiny_model(), weights="random")
    gate = settle(DEFAULT_GATE, model, [unlabelled(64)])
    assert decide(candidate(row(agreement=0.0)), PLAN, [unlabelled(64)], gate).passes
    assert not decide(candidate(row(cosine=0.9)), PLAN, [unlabelled(64)], gate).passes


@pytest.mark.parametrize(
    ("golden", "held_out", "passes", "named"),
    [
        (row(), row(0.89, agreement=0.5), True, "passes"),  # labels known: accuracy takes the place of agreement
        (row(), row(0.95), True, "passes"),  # better than float
        (row(), row(0.88), False, "accuracy 0.880 < 0.890 on 100 held-out pictures"),
        (row(agreement=0.7, source="rendered"), row(0.9), False, "agreement 0.700 < 0.800 on 100 drawn pictures"),
        (row(), row(0.9, cosine=0.97), False, "cosine 0.970 < 0.980 on 100 held-out"),
    ],
)
def test_golden_and_held_out_both_decide(golden, held_out, passes, named) -> None:
    sets = [unlabelled(64), labelled(90, 100)]
    verdict = decide(candidate(golden, held_out), PLAN, sets, settle(DEFAULT_GATE, tiny_model(), sets))
    assert verdict.passes is passes
    assert named in verdict.reason


def test_unlabelled_held_out_pictures_decide_by_agreement() -> None:
    sets = [unlabelled(64, "rendered"), unlabelled(100)]
    gate = settle(DEFAULT_GATE, tiny_model(), sets)
    assert "0.790" in decide(candidate(row(source="rendered"), row(agreement=0.79)), PLAN, sets, gate).reason


def test_a_promise_of_int8_is_kept_or_the_name_changes() -> None:
    sets, gate = [unlabelled(64)], Gate(logit_cosine_min=0.9, top1_agreement_min=0.5)
    silent = candidate(row(), precision="mixed", share=0.6)
    assert "not int8: 60.0%" in decide(silent, PLAN, sets, gate).reason
    assert decide(silent, FLOAT_PLAN, sets, gate).passes, "nobody promised anything"
    asked = msgspec.structs.replace(silent, recipe=recipe_of(PLAN, QuantizeOptions(7, float_layers=("stem",))))
    assert decide(asked, PLAN, sets, gate).passes
    nothing = msgspec.structs.replace(asked, precision="fp32", int8_mac_share=0.0)
    assert not decide(nothing, PLAN, sets, gate).passes


@pytest.mark.parametrize(("share", "margin"), [(0.6, 0.6 - INT8_MAC_SHARE_MIN), (0.0, -INT8_MAC_SHARE_MIN)])
def test_a_broken_promise_misses_by_what_is_lacking(share: float, margin: float) -> None:
    gate = Gate(logit_cosine_min=0.9, top1_agreement_min=0.5)
    verdict = decide(candidate(row(), precision="mixed", share=share), PLAN, [unlabelled(64)], gate)
    assert (verdict.passes, verdict.margin) == (False, pytest.approx(margin))
    kept = decide(candidate(row(cosine=0.95, agreement=1.0)), PLAN, [unlabelled(64)], gate)
    assert (kept.passes, kept.margin) == (True, pytest.approx(0.5))
    assert decide(candidate(), PLAN, [], gate).margin == 1.0, "a promise that is kept lacks nothing"


def test_all_that_is_missed_is_named() -> None:
    sets, gate = [unlabelled(64), unlabelled(64)], Gate(logit_cosine_min=0.98, top1_agreement_min=0.8)
    verdict = decide(
        candidate(row(cosine=0.9, source="rendered"), row(agreement=0.7), precision="fp32", share=0), PLAN, sets, gate
    )
    assert verdict.reason.split("; ") == [
        "not int8: 0.0% of its multiply-accumulates run in 8-bit kernels, at least 90% must",
        "logit cosine 0.900 < 0.980 on 100 drawn pictures",
        "top-1 agreement 0.700 < 0.800 on 100 held-out pictures",
    ]


def test_the_least_accuracy_is_rounded_down_and_never_below_nothing() -> None:
    third = settle(Gate(logit_cosine_min=0.9, top1_agreement_min=0.5, accuracy_share_min=1.0), tiny_model(), [labelled(2, 3)])
    assert third.accuracy_min == 0.66666
    nothing = settle(Gate(logit_cosine_min=0.9, top1_agreement_min=0.5, accuracy_drop_max=0.5), tiny_model(), [labelled(1, 4)])
    assert nothing.accuracy_min == 0.0


def test_a_mixed_candidate_is_called_so(tmp_path) -> None:
    from export.candidates import Draft

    options = QuantizeOptions(7, float_layers=("stem",))
    draft = deliberate(Draft(PLAN, tmp_path / "x", candidate(precision="mixed", share=0.6)), options, ("a step",))
    assert (draft.plan.name, draft.plan.file, draft.candidate.name) == ("onnx-mixed", "onnx-mixed.onnx", "onnx-mixed")
    assert draft.candidate.recipe.float_layers == ("stem",)
    assert draft.candidate.recipe.steps == ("a step",)
    whole = deliberate(Draft(PLAN, tmp_path / "x", candidate()), options)
    assert whole.plan.name == "onnx-int8", "one small layer in float leaves 90 % in 8 bits"


def test_recipes_say_which_cpus_they_suit() -> None:
    tflite = next(plan for plan in PLANS if plan.name == "tflite-int8")
    assert "no CPU" in recipe_of(PLAN, QuantizeOptions(7)).saturates_on
    assert "x86 without VNNI" in recipe_of(PLAN, QuantizeOptions(8)).saturates_on
    assert "32 bits" in recipe_of(tflite, QuantizeOptions(8)).saturates_on
    told = describe(QuantizeOptions(8, "mse", equalise=True, float_layers=("a", "b")), QuantizeOptions(8))
    assert told == "mse ranges, equalised channels, 2 layers in float: a, b"


def test_classes_of_one_name_count_as_one() -> None:
    twice = EvaluationSet(
        np.zeros((2, 4, 4, 3), np.uint8), np.float32([[0, 0, 1], [1, 0, 0]]), "held_out", np.array([1, 0]), np.array([0, 1, 1])
    )
    assert twice.accuracy(twice.expected) == 1.0
