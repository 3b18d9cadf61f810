"""Which channels of a network live and die together, and taking some of them out.

A channel is made by one layer, scaled by its batch norm, filtered by depthwise convolutions, added to a residual's and read by the
layers behind. torch-pruning's dependency graph (Fang et al. 2023, https://arxiv.org/abs/2301.12900) finds all of these.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import Conv2d, Linear, Module

from edge.errors import DataError
from export.load.model import import_extra

Removed = Mapping[str, Sequence[int]]
"""Indices of the channels to take out, by the layer that makes them."""

_FIX = "another network: MobileNet, MnasNet, EfficientNet-Lite and ResNet can be pruned"
_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, AttributeError, KeyError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Side:
    """``channels`` of a layer go with all channels of a group; ``reads``: of its input (a depthwise layer counts as output)."""

    layer: str
    reads: bool
    channels: int


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """``count`` channels, made by layer ``name``. ``blocks``: of a grouped convolution, which lose the same channels each."""

    name: str
    count: int
    blocks: int
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class PrunableLayer:
    """A convolution or matrix. ``positions``: of its output, for one picture; ``kernel``: weights for one input and output channel."""

    outputs: int
    inputs: int
    blocks: int
    depthwise: bool
    kernel: int
    positions: int

    def weights(self, outputs: int, inputs: int) -> int:
        """Elements of its weight with so many channels."""
        return outputs * self.kernel * (1 if self.depthwise else inputs // self.blocks)


class Graph:
    """The channel groups of ``module``, which ``remove`` changes in place; layer ``head`` keeps its outputs.

    Raises:
        DataError: torch-pruning cannot follow the network.
    """

    def __init__(self, module: Module, size_hw_px: tuple[int, int], head: str) -> None:
        self._pruning = import_extra("torch_pruning")
        self._module = module.requires_grad_(True).eval()  # the graph is followed along the gradients
        self._names = {layer: name for name, layer in module.named_modules()}
        picture = torch.zeros(1, 3, *size_hw_px)
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._graph = self._pruning.DependencyGraph().build_dependency(module, (picture,), verbose=False)
                self._found = list(self._graph.get_all_groups(ignored_layers=[module.get_submodule(head)]))
            except _ERRORS as error:
                why = _shuffle(module, picture) or f": {_first_line(error)}"
                raise DataError(f"torch-pruning cannot follow this network{why}", fix=_FIX) from error
        self.groups = tuple(self._group(found) for found in self._found)
        self.layers = self._layers(picture)

    def scores(self, importance: Any) -> dict[str, torch.Tensor]:
        """One number a channel, for each group, by one of ``torch_pruning.importance``."""
        return {group.name: importance(found) for group, found in zip(self.groups, self._found, strict=True)}

    def remove(self, removed: Removed, twin: Module | None = None) -> None:
        """Take channels out. In ``twin``, a copy from before, the weights that read them become zero instead."""
        left: dict[str, list[int]] = {}  # positions in the twin of the channels that a layer still reads
        for name, indices in removed.items():
            layer = self._module.get_submodule(name)
            group = self._graph.get_pruning_group(
                layer, self._graph.get_pruner_of_module(layer).prune_out_channels, list(indices)
            )
            if twin is not None:
                self._silence(twin, group, left)
            with torch.no_grad():
                group.prune()

    def _silence(self, twin: Module, group: Any, left: dict[str, list[int]]) -> None:
        for dep, indices in group:
            layer, name = dep.target.module, self._names.get(dep.target.module, "")
            if (
                not isinstance(layer, Conv2d | Linear)
                or _depthwise(layer)
                or not self._graph.is_in_channel_pruning_fn(dep.handler)
            ):
                continue
            reads = left.setdefault(name, list(range(_inputs(layer))))
            weight, blocks = twin.get_submodule(name).weight, getattr(layer, "groups", 1)
            rows, columns = weight.shape[0] // blocks, weight.shape[1]
            gone = {reads[index] for index in indices}
            with torch.no_grad():
                for index in gone:
                    block = index // columns
                    weight[block * rows : (block + 1) * rows, index % columns] = 0
            left[name] = [index for index in reads if index not in gone]

    def _group(self, found: Any) -> ChannelGroup:
        sides, blocks = [], 1
        for dep, indices in found:
            layer = dep.target.module
            if not isinstance(layer, Conv2d | Linear):
                continue
            blocks = max(blocks, 1 if _depthwise(layer) else getattr(layer, "groups", 1))
            reads = not _depthwise(layer) and self._graph.is_in_channel_pruning_fn(dep.handler)
            sides.append(Side(self._names[layer], reads, len(indices)))
        return ChannelGroup(self._names[found[0].dep.target.module], len(found[0].idxs), blocks, tuple(sides))

    def _layers(self, picture: torch.Tensor) -> dict[str, PrunableLayer]:
        positions: dict[str, int] = {}
        handles = []
        for layer, name in self._names.items():
            if isinstance(layer, Conv2d | Linear):

                def count(part: Module, _given: Any, made: torch.Tensor, name: str = name) -> None:
                    positions[name] = positions.get(name, 0) + made.numel() // _outputs(part)

                handles.append(layer.register_forward_hook(count))
        with torch.no_grad():
            self._module(picture)
        for handle in handles:
            handle.remove()
        return {name: _layer(self._module.get_submodule(name), number) for name, number in positions.items()}


def without(module: Module, size_hw_px: tuple[int, int], head: str, removed: Removed) -> Module:
    """A copy of ``module`` without these channels, which answers as ``module`` would if nobody read them.

    Raises:
        DataError: it does not run, or answers otherwise: the channels that were taken out are not those that were read.
    """
    small, twin = copy.deepcopy(module).eval(), copy.deepcopy(module).eval()
    graph = Graph(small, size_hw_px, head)
    reason = _shuffle(module, torch.zeros(1, 3, *size_hw_px))
    pictures = torch.randn(4, 3, *size_hw_px, generator=torch.Generator().manual_seed(0))
    try:
        graph.remove(removed, twin)
        with torch.no_grad():
            ours, expected = small(pictures), twin(pictures)
    except _ERRORS as error:
        why = reason or f": {_first_line(error)}"
        raise DataError(f"torch-pruning loses track of this network's channels{why}", fix=_FIX) from error
    spread = float((expected - expected.mean(0)).abs().max())
    limit = 0.01 * spread + 1e-5 * float(expected.abs().max())
    if ours.shape != expected.shape or not float((ours - expected).abs().max()) <= limit:
        what = reason or ": a layer computes across channels"
        raise DataError(f"taking channels out changes what the others mean in this network{what}", fix=_FIX)
    for parameter in small.parameters():
        parameter.grad = None
    return small


def _layer(layer: Module, positions: int) -> PrunableLayer:
    kernel = layer.kernel_size[0] * layer.kernel_size[1] if isinstance(layer, Conv2d) else 1
    blocks = layer.groups if isinstance(layer, Conv2d) else 1
    return PrunableLayer(_outputs(layer), _inputs(layer), blocks, _depthwise(layer), kernel, positions)


def _depthwise(layer: Module) -> bool:
    return isinstance(layer, Conv2d) and layer.groups > 1 and layer.groups == layer.out_channels


def _outputs(layer: Module) -> int:
    return int(layer.out_channels if isinstance(layer, Conv2d) else layer.out_features)


def _inputs(layer: Module) -> int:
    return int(layer.in_channels if isinstance(layer, Conv2d) else layer.in_features)


def _shuffle(module: Module, picture: torch.Tensor) -> str:
    """Words for a message, where the network moves channels about by an exchange of axes; torch-pruning takes that for no change."""
    with torch.enable_grad():
        waiting, seen = [module(picture).grad_fn], set()
    while waiting:
        step = waiting.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        waiting.extend(before for before, _ in step.next_functions)
    exchanged = any(word in step.name().lower() for step in seen for word in ("permute", "transpose", "shuffle"))
    return ": it shuffles channels (axes are exchanged), which its dependency graph cannot express" if exchanged else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
