"""Structured pruning: whole channels are taken out until the network fits a budget.

The budget is what is given, and the widths of the layers follow from it, as in MorphNet (Gordon et al. 2018,
https://arxiv.org/abs/1711.06798): channels go in the order of what they are worth for what they cost in the budget's own unit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from edge.errors import DataError, UsageError
from export.load.head import find_head
from export.load.model import FloatModel, import_extra
from export.progress import Progress
from export.train.channels import ChannelGroup, Graph, PrunableLayer, without
from export.train.finetune import normalised
from export.train.photos import Photos, as_input
from export.train.report import Size, measure

Scores = Mapping[str, torch.Tensor]
"""What each channel is worth, by the layer that makes it."""

_STEP = 8
"""Layers keep multiples of so many channels: the runtimes' kernels work on 8 (or 4, or 16) at a time, and pad the rest."""

_KEPT_SHARE_MIN = 0.25
"""No layer keeps less of its channels: below, a single layer becomes the neck of the whole network."""
_PHOTOS = 256  # that say what a channel is worth
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``limit`` multiply-accumulates for one picture, or elements of weights (bytes, once they are 8-bit)."""

    unit: Literal["macs", "weights"]
    limit: int

    def used(self, size: Size) -> int:
        """How much of it a network takes."""
        return size.macs if self.unit == "macs" else size.weights


@dataclass(frozen=True, slots=True)
class Pruned:
    """``model`` with fewer channels, not trained yet; ``kept``: of how many channels each layer keeps how many."""

    model: FloatModel
    size: Size
    kept: dict[str, tuple[int, int]]


def graph_of(model: FloatModel) -> tuple[Graph, str]:
    """(channel groups, name of the head). Its module must be a copy. Raises DataError where there is nothing to prune."""
    head = find_head(model.module, model.size_hw_px).name
    graph = Graph(model.module, model.size_hw_px, head)
    if not any(_widths(group) for group in graph.groups):
        raise DataError(
            f"{model.name}: no layer with channels that could be taken out",
            fix="a network of Conv2d layers, from a factory or the zoo; a .pt2 or TorchScript program has operators only",
        )
    return graph, head


def by_magnitude(graph: Graph) -> Scores:
    """The norm of the weights that make and read a channel, relative to its layer: all that can be known without photos."""
    return graph.scores(import_extra("torch_pruning").importance.GroupMagnitudeImportance())


def prune(model: FloatModel, budget: Budget, graph: Graph, head: str, scores: Scores) -> Pruned:
    """The largest network within ``budget``; ``model`` is left as it is.

    Args:
        model: the trained network.
        budget: what it must fit.
        graph: its channel groups.
        head: name of the layer that makes the logits.
        scores: what each channel is worth.

    Raises:
        UsageError: the network is within the budget as it is.
        DataError: the budget cannot be met (says what could be reached), or the network cannot be pruned.
    """
    before = measure(model)
    if budget.used(before) <= budget.limit:
        raise UsageError(f"{model.name}: has {budget.used(before):,} {budget.unit}; the budget of {budget.limit:,} is no limit")
    plan = _Plan(graph, budget, scores, budget.used(before))
    widths = plan.within(budget.limit)
    removed = {
        group.name: _removed(group, scores[group.name], widths[group.name])
        for group in graph.groups
        if widths[group.name] < group.count
    }
    small = replace(model, module=without(model.module, model.size_hw_px, head, removed))
    after = measure(small)
    if budget.used(after) > budget.limit or not after.weights < before.weights:
        raise DataError(
            f"{model.name}: pruning reached {budget.used(after):,} {budget.unit}, not {budget.limit:,}",
            fix="another network: torch-pruning does not follow all of this one",
        )
    return Pruned(small, after, {group.name: (widths[group.name], group.count) for group in graph.groups})


class _Plan:
    """How wide each group stays at a given price of the budget's unit."""

    def __init__(self, graph: Graph, budget: Budget, scores: Scores, total: int) -> None:
        self._graph, self._unit = graph, budget.unit
        self._worth = {group.name: _block_scores(group, scores[group.name]) / self._cost(group) for group in graph.groups}
        self._rest = total - self._of_layers({group.name: group.count for group in graph.groups})

    def within(self, limit: int) -> dict[str, int]:
        """The widest layers of which the sum stays within ``limit``. Raises DataError with what could be reached."""
        prices = torch.cat(list(self._worth.values())).unique().tolist()
        low, high = 0, len(prices) - 1  # at the highest price, every group is at its narrowest
        narrowest = self._widths(math.inf)
        if (least := self._used(narrowest)) > limit:
            raise DataError(
                f"the budget of {limit:,} {self._unit} cannot be met: {least:,} is the least, with every layer at its narrowest",
                fix="a larger budget, or a smaller network to begin with",
            )
        while low < high:
            middle = (low + high) // 2
            if self._used(self._widths(prices[middle])) <= limit:
                high = middle
            else:
                low = middle + 1
        fits = [self._widths(prices[low])] if self._used(self._widths(prices[low])) <= limit else [narrowest]
        # one step of one layer can be a large part of a small network; a step of another one may come nearer
        over = self._widths(prices[low - 1]) if low else {group.name: group.count for group in self._graph.groups}
        for group in self._graph.groups:
            narrower = (over | {group.name: width} for width in reversed(_widths(group)) if width < over[group.name])
            fits.extend(itertools.islice((widths for widths in narrower if self._used(widths) <= limit), 1))
        return self._filled(max(fits, key=self._used), limit)

    def _filled(self, widths: dict[str, int], limit: int) -> dict[str, int]:
        """What is left of the budget goes to the layers whose next channels are worth the most for their price."""
        while True:
            wider = {}
            for group in self._graph.groups:
                width = next((one for one in _widths(group) if one > widths[group.name]), None)
                if width is not None and self._used(widths | {group.name: width}) <= limit:
                    ranked = self._worth[group.name].sort(descending=True).values
                    back = ranked[widths[group.name] // group.blocks : width // group.blocks]
                    wider[group.name] = (float(back.mean()), width)
            if not wider:
                return widths
            chosen = max(wider, key=lambda name: wider[name])
            widths = widths | {chosen: wider[chosen][1]}

    def _widths(self, price: float) -> dict[str, int]:
        chosen = {}
        for group in self._graph.groups:
            worth = int((self._worth[group.name] > price).sum()) * group.blocks
            chosen[group.name] = _nearest(_widths(group), worth) or group.count
        return chosen

    def _cost(self, group: ChannelGroup) -> float:
        """Of one channel, in the budget's unit."""
        total = 0.0
        for side in group.sides:
            layer = self._graph.layers[side.layer]
            total += self._of_layer(layer) * side.channels / (layer.inputs if side.reads else layer.outputs)
        return total / (group.count // group.blocks)

    def _used(self, widths: Mapping[str, int]) -> int:
        return self._rest + self._of_layers(widths)

    def _of_layers(self, widths: Mapping[str, int]) -> int:
        outputs = {name: layer.outputs for name, layer in self._graph.layers.items()}
        inputs = {name: layer.inputs for name, layer in self._graph.layers.items()}
        for group in self._graph.groups:
            gone = group.count - widths[group.name]
            for side in group.sides:
                (inputs if side.reads else outputs)[side.layer] -= gone * side.channels // group.count
        return sum(self._of_layer(layer, outputs[name], inputs[name]) for name, layer in self._graph.layers.items())

    def _of_layer(self, layer: PrunableLayer, outputs: int | None = None, inputs: int | None = None) -> int:
        weights = layer.weights(layer.outputs if outputs is None else outputs, layer.inputs if inputs is None else inputs)
        return weights * layer.positions if self._unit == "macs" else weights


def _widths(group: ChannelGroup) -> list[int]:
    """How many channels the group may keep: as it is, or a smaller multiple; none where only its own width is left."""
    step = math.lcm(_STEP, group.blocks)
    narrowest = max(step, math.ceil(_KEPT_SHARE_MIN * group.count))
    smaller = [width for width in range(step, group.count, step) if width >= narrowest]
    return [*smaller, group.count] if smaller else []


def _nearest(widths: list[int], wanted: int) -> int | None:
    """The wider of two that are equally near."""
    return min(reversed(widths), key=lambda width: abs(width - wanted), default=None)


def _block_scores(group: ChannelGroup, scores: torch.Tensor) -> torch.Tensor:
    """One number for the channels that go together from every block of a grouped convolution."""
    return scores.reshape(group.blocks, -1).sum(0)


def _removed(group: ChannelGroup, scores: torch.Tensor, width: int) -> list[int]:
    """Indices of the channels of least worth, the same ones in every block."""
    per_block = group.count // group.blocks
    order = torch.argsort(_block_scores(group, scores), stable=True)
    gone = sorted(order[: (group.count - width) // group.blocks].tolist())
    return [block * per_block + index for block in range(group.blocks) for index in gone]


def by_taylor(model: FloatModel, photos: Photos, seed: int, progress: Progress) -> Scores:
    """Σ over batches of (Σ weight × gradient)² of the weights that make and read a channel.

    That is the first-order change of the loss without the channel (Molchanov et al. 2019, https://arxiv.org/abs/1906.10771), over 256
    photos drawn by ``seed``, comparable between layers. ``model.module`` must be a copy: it is left with gradients.
    """
    graph, _ = graph_of(model)
    importance = import_extra("torch_pruning").importance.GroupTaylorImportance(normalizer=None, multivariable=True)
    order = np.random.default_rng(seed).permutation(len(photos.images))[:_PHOTOS]
    chosen = photos.at(order.tolist())
    images = as_input(chosen, model)
    starts = range(0, len(images), _BATCH)
    advance = progress("what each channel is worth", len(starts))
    total = {group.name: torch.zeros(group.count) for group in graph.groups}
    for start in starts:
        model.module.zero_grad(set_to_none=True)
        logits = model.module(normalised(images[start : start + _BATCH].astype(np.float32), model))
        functional.cross_entropy(logits, torch.from_numpy(chosen.truth[start : start + _BATCH])).backward()
        for name, score in graph.scores(importance).items():
            total[name] += score.detach() ** 2
        advance()
    return total
