"""What a training shows: its curve; two networks side by side, size, work and accuracy; whether the smaller one may take the larger
one's place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from edge.errors import GateError
from export.judge.defaults import ACCURACY_SHARE_MIN
from export.load.model import FloatModel
from export.train.photos import Photos, as_input

_BATCH = 32
_ROUNDING = 1e-9  # accuracies are whole photos divided by their number


@dataclass(frozen=True, slots=True)
class Size:
    """``parameters``: all of them. ``weights``: elements of those with two or more dimensions; an 8-bit file has one byte for each,
    and a few per cent more for biases, scales and the graph. ``macs``: multiply-accumulates for one picture."""

    parameters: int
    weights: int
    macs: int

    @property
    def int8_mb(self) -> float:
        """Its weights at one byte each, in MB of 1,000,000 bytes."""
        return self.weights / 1e6


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One network of the report; ``top1`` in [0, 1], None where there are no validation photos."""

    network: str
    size: Size
    top1: float | None


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """``rows``: the larger network first, then the smaller one at its stages, the last one as it is kept."""

    rows: tuple[NetworkRow, ...]
    photos: int


Reported = Callable[[TrainingReport], None]
"""Told the sizes and accuracies before the gate judges them."""


def measure(model: FloatModel) -> Size:
    """Counted, not estimated: one picture goes through the network."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        model.module(torch.zeros(1, 3, *model.size_hw_px))
    parameters = [parameter for _, parameter in model.module.named_parameters()]
    return Size(
        parameters=sum(parameter.numel() for parameter in parameters),
        weights=sum(parameter.numel() for parameter in parameters if parameter.ndim > 1),
        macs=counter.get_total_flops() // 2,  # it counts a multiplication and an addition as two
    )


def logits_of(model: FloatModel, photos: Photos) -> torch.Tensor:
    """N×C float32, through the camera's own preprocessing."""
    images, rows = as_input(photos, model), []
    mean, scale = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (model.normalisation.mean, model.normalisation.scale))
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + _BATCH])).permute(0, 3, 1, 2)
            pixels = pixels.contiguous()
            rows.append(model.module((pixels.float() - mean) / scale))
    return torch.cat(rows)


def row(network: str, model: FloatModel, photos: Photos | None) -> NetworkRow:
    """Measure a network, and judge it on ``photos``."""
    top1 = None if photos is None else float((logits_of(model, photos).argmax(1).numpy() == photos.truth).mean())
    return NetworkRow(network, measure(model), top1)


def as_table(report: TrainingReport) -> tuple[list[str], list[tuple[str, ...]]]:
    """(columns, rows) for ``edge.console.print_table``."""
    columns = ["network", ">parameters", ">MACs, M", ">8-bit weights, MB", f">top-1 ({report.photos} photos)"]
    rows: list[tuple[str, ...]] = [
        (
            one.network,
            f"{one.size.parameters:,}",
            f"{one.size.macs / 1e6:.1f}",
            f"{one.size.int8_mb:.2f}",
            "–" if one.top1 is None else f"{one.top1:.1%}",
        )
        for one in report.rows
    ]
    return columns, rows


def require_kept(report: TrainingReport, drop_max_points: float) -> None:
    """The gate: the last network against the first.

    Raises:
        GateError: it loses more than ``drop_max_points`` of top-1, or more than 2 % of the first one's for each such point: with one
            point, the rule of ``export.judge.defaults``.
    """
    first, last = report.rows[0], report.rows[-1]
    if first.top1 is None or last.top1 is None:
        raise GateError("accuracy cannot be judged without validation photos", fix="give --val")
    share_min = 1 - (1 - ACCURACY_SHARE_MIN) * drop_max_points
    least = max(first.top1 - drop_max_points / 100, first.top1 * share_min)
    if last.top1 < least - _ROUNDING:
        raise GateError(
            f"{last.network}: top-1 {last.top1:.2%} on {report.photos} photos; {first.network} has {first.top1:.2%}, "
            f"and {least:.2%} is the least (--max-drop {drop_max_points:g})",
            fix="more --epochs (training goes on from here), a larger budget, or a larger --max-drop",
        )
