"""The gate's numbers, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.gate import Measured, judge
from edge.manifest import Gate
from edge.tasks.classify import compare

GATE = Gate(logit_cosine_min=0.9, top1_agreement_min=0.8)


def f32(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_cosine_and_agreement_by_hand() -> None:
    # Centred: (-1, 0, 1) and (1, 0, -1) are opposite; (-1, 0, 1) and itself are equal: the mean is 0, one of two agrees.
    measured = compare(f32([1, 2, 3], [1, 2, 3]), f32([1, 2, 3], [3, 2, 1]))
    assert measured.logit_cosine == pytest.approx(0.0, abs=1e-6)
    assert measured.top1_agreement == 0.5
    assert measured.images == 2


def test_accuracy_counts_against_the_truth_and_not_the_float_model() -> None:
    measured = compare(f32([0, 1], [1, 0]), f32([0, 1], [0, 1]), truth=np.array([0, 0]))
    assert measured.accuracy == 0.5


@given(arrays(np.float32, (4, 5), elements=st.floats(-20, 20, width=32)), st.floats(-50, 50))
def test_a_constant_added_to_all_logits_changes_nothing(logits: np.ndarray, constant: float) -> None:
    noise = np.linspace(-1, 1, 5, dtype=np.float32)
    one = compare(logits + noise, logits)
    other = compare((logits + noise).astype(np.float64) + constant, logits)
    assert one.logit_cosine == pytest.approx(other.logit_cosine, abs=1e-3)


@given(arrays(np.float32, (3, 7), elements=st.floats(-30, 30, width=32)))
def test_log_of_softmax_is_judged_like_the_logits(logits: np.ndarray) -> None:
    logits = logits + np.arange(7, dtype=np.float32)
    wide = logits.astype(np.float64)
    log_p = wide - np.log(np.exp(wide - wide.max(1, keepdims=True)).sum(1, keepdims=True)) - wide.max(1, keepdims=True)
    assert compare(log_p.astype(np.float32), logits).logit_cosine == pytest.approx(1.0, abs=1e-4)


def test_a_constant_output_has_no_direction_and_scores_zero() -> None:
    assert compare(f32([5, 5, 5]), f32([1, 2, 3])).logit_cosine == 0.0


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match="shape"):
        compare(f32([1, 2]), f32([1, 2, 3]))
    with pytest.raises(ValueError, match="shape"):
        compare(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))


@pytest.mark.parametrize(
    ("cosine", "agreement", "passes", "named"),
    [
        (0.95, 0.9, True, "passes"),
        (0.9, 0.8, True, "passes"),
        (0.89, 0.9, False, "logit cosine 0.890 < 0.900"),
        (0.95, 0.7, False, "top-1 agreement 0.700 < 0.800"),
        (float("nan"), 0.9, False, "logit cosine nan"),
    ],
)
def test_verdict_names_what_is_missed(cosine: float, agreement: float, passes: bool, named: str) -> None:
    verdict = judge(Measured(64, cosine, agreement), GATE)
    assert verdict.passes is passes
    assert named in verdict.reason


def test_margin_is_the_tightest_threshold() -> None:
    assert judge(Measured(64, 0.95, 0.9), GATE).margin == pytest.approx(0.5)
    assert judge(Measured(64, 1.0, 1.0), GATE).margin == pytest.approx(1.0)
    assert judge(Measured(64, 0.99, 0.7), GATE).margin == pytest.approx(-0.5)


def test_accuracy_threshold_applies_only_where_accuracy_was_measured() -> None:
    gate = Gate(logit_cosine_min=0.9, top1_agreement_min=0.8, accuracy_min=0.9)
    assert judge(Measured(64, 0.95, 0.9), gate).passes
    assert "accuracy 0.850 < 0.900" in judge(Measured(64, 0.95, 0.9, 0.85), gate).reason


def test_an_agreement_of_zero_asks_for_nothing() -> None:
    gate = Gate(logit_cosine_min=0.9, top1_agreement_min=0.0)
    verdict = judge(Measured(64, 0.95, 0.0), gate)
    assert verdict.passes
    assert verdict.margin == pytest.approx(0.5)
