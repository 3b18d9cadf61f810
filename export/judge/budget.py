"""Is a candidate small enough? Asked twice: by its weights alone before anything is converted, and by its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.errors import BundleError
from export.candidates import Arithmetic, Draft, Plan
from export.judge.count import heaviest_layers
from export.load.head import running_parameters

if TYPE_CHECKING:
    from export.load.model import FloatModel

_BYTES_A_WEIGHT: dict[Arithmetic, int] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1, "dynamic": 1}
_HEAVIEST = 3
_FIX = "leave it out with --candidates, shrink the network (shelfcam prune), or raise --budget-mb"


def too_heavy(model: FloatModel, plans: Sequence[Plan], budget_bytes: int) -> dict[str, str]:
    """Plan → why its file can only be over the budget: the convolutions and matrices that run are more by themselves."""
    weights = {name: tensor.numel() for name, tensor in running_parameters(model.module, model.size_hw_px) if tensor.ndim > 1}
    total = sum(weights.values())
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:_HEAVIEST]
    reasons = {}
    for plan in plans:
        each = _BYTES_A_WEIGHT[plan.arithmetic]
        if total * each > budget_bytes:
            layers = ", ".join(f"{name} {count * each:,}" for name, count in heaviest)
            reasons[plan.name] = _reason(plan.file, "at least ", total * each, budget_bytes, layers)
    return reasons


def refuse_if_over(draft: Draft, budget_bytes: int) -> Draft | None:
    """``draft`` with the verdict that its file is over the budget, and its heaviest layers; None if it is not."""
    size = draft.candidate.model_file.bytes
    if size <= budget_bytes:
        return None
    layers = ", ".join(f"{layer.name} {layer.bytes:,}" for layer in heaviest_layers(draft.path, draft.plan.format, _HEAVIEST))
    return replace(draft, passes=False, verdict=_reason(draft.plan.file, "", size, budget_bytes, layers))


def nothing_left(reasons: Sequence[str]) -> BundleError:
    """The error where every candidate is over the budget."""
    first, *others = dict.fromkeys(reasons)
    return BundleError(first, fix=_FIX, details=others)


def _reason(file: str, at_least: str, size: int, budget_bytes: int, layers: str) -> str:
    over = size - budget_bytes
    return f"{file}: {at_least}{size:,} bytes, {over:,} over the budget of {budget_bytes:,}; heaviest: {layers}"
