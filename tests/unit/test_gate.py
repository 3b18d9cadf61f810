"""The gate's numbers, against values worked out by hand."""

from __future__ import annotations

import pytest

from edge.gate import Measured, judge
from edge.manifest import Gate

GATE = Gate(logit_cosine_min=0.9, top1_agreement_min=0.8)


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
