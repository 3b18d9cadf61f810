"""What was measured → may a candidate be written into a bundle?

It must pass on the golden set, which every camera can repeat, and on all held-out photos: there by accuracy where their labels are
known, else by agreement, as on the golden set. Calibration pictures are in neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from edge.gate import Measured, Verdict, judge
from edge.manifest import INT8_MAC_SHARE_MIN, Candidate, Gate
from export.candidates import Plan
from export.judge.parity import EvaluationSet
from export.load.model import FloatModel


def settle(asked: Gate, model: FloatModel, sets: Sequence[EvaluationSet]) -> Gate:
    """The gate of one network: ``asked`` with ``accuracy_min`` worked out from the float network's own accuracy, if any set knows the
    truth; for random weights, whose best class means nothing, without agreement."""
    accuracy = next(
        (found for evaluation_set in sets if (found := evaluation_set.accuracy(evaluation_set.expected)) is not None), None
    )
    agreement = asked.top1_agreement_min if model.weights == "trained" else 0.0
    gate = Gate(logit_cosine_min=asked.logit_cosine_min, top1_agreement_min=agreement)
    if accuracy is None:
        return gate
    drop, share = asked.accuracy_drop_max or 0.0, asked.accuracy_share_min or 0.0
    lowest = max(0.0, accuracy - drop, share * accuracy)
    return msgspec.structs.replace(
        gate,
        accuracy_min=math.floor(lowest * 1e5) / 1e5,  # as coarse as what is compared with it
        accuracy_drop_max=asked.accuracy_drop_max,
        accuracy_share_min=asked.accuracy_share_min,
    )


def decide(candidate: Candidate, plan: Plan, sets: Sequence[EvaluationSet], gate: Gate) -> Verdict:
    """Hold the first rows of ``candidate.quality``, one a set, against the gate; and its arithmetic against the plan's promise.

    A plan that promises int8 does not pass while layers stayed in float unasked: ``recipe.float_layers`` names those that were to.
    """
    verdicts = [_promise(candidate, plan)]
    for evaluation_set, row in zip(sets, candidate.quality, strict=False):
        measured = Measured(row.images, row.logit_cosine, row.top1_agreement, row.accuracy)
        rule = gate if evaluation_set.truth is None else msgspec.structs.replace(gate, top1_agreement_min=0.0)
        verdict = judge(measured, rule)
        where = f" on {row.images} {'drawn' if row.source == 'rendered' else 'held-out'} pictures"
        verdicts.append(verdict if verdict.passes else Verdict(False, verdict.margin, verdict.reason + where))
    failed = [verdict.reason for verdict in verdicts if not verdict.passes]
    return Verdict(not failed, min(verdict.margin for verdict in verdicts), "; ".join(failed) or "passes")


def is_broken_promise(candidate: Candidate, plan: Plan) -> bool:
    """Whether an int8 plan's graph computes too much in float without having been told to."""
    deliberate = candidate.recipe is not None and bool(candidate.recipe.float_layers)
    return plan.arithmetic == "int8" and candidate.precision != "int8" and not (deliberate and candidate.precision == "mixed")


def _promise(candidate: Candidate, plan: Plan) -> Verdict:
    if not is_broken_promise(candidate, plan):
        return Verdict(True, 1.0, "passes")
    share = f"{candidate.int8_mac_share:.1%} of its multiply-accumulates run in 8-bit kernels"
    return Verdict(
        False, candidate.int8_mac_share - INT8_MAC_SHARE_MIN, f"not int8: {share}, at least {INT8_MAC_SHARE_MIN:.0%} must"
    )
