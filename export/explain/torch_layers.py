"""Layers of a PyTorch network by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from edge.errors import UsageError

if TYPE_CHECKING:
    from export.load.model import FloatModel


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A module that ran: ``output_shape`` of one picture, C×H×W or C; ``kind`` is its class."""

    name: str
    kind: str
    output_shape: tuple[int, ...]


def list_layers(model: FloatModel) -> list[LayerFacts]:
    """Every module that gives one tensor and has weights of its own or no children, in the order in which they run."""
    found: list[LayerFacts] = []

    def note(name: str, module: torch.nn.Module, output: Any) -> None:
        if isinstance(output, torch.Tensor) and name not in {layer.name for layer in found}:
            found.append(LayerFacts(name, type(module).__name__, tuple(output.shape[1:])))

    hooks = []
    for name, module in model.module.named_modules():
        if name and (next(module.children(), None) is None or next(module.parameters(recurse=False), None) is not None):
            hooks.append(module.register_forward_hook(lambda m, _, out, name=name: note(name, m, out)))
    try:
        with torch.no_grad():
            model.module(torch.zeros(1, 3, *model.size_hw_px))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def find_layer(model: FloatModel, name: str) -> torch.nn.Module:
    """The module of that name, with or without children. Raises UsageError with the nearest names."""
    modules = {key: module for key, module in model.module.named_modules() if key}
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "--list-layers names them"
        raise UsageError(f"{model.name} has no layer {name!r}", fix=hint)
    return modules[name]


def last_convolution(model: FloatModel) -> str:
    """The name of the last layer whose output still has places: where Grad-CAM looks. Raises UsageError if there is none."""
    maps = [layer for layer in list_layers(model) if len(layer.output_shape) == 3 and layer.output_shape[1] > 1]
    convolutions = [layer for layer in maps if "conv" in layer.kind.lower()]
    if not convolutions:
        raise UsageError(f"{model.name} has no convolution with a map larger than one pixel", fix="name a layer with --layer")
    return convolutions[-1].name


@contextmanager
def outputs_of(module: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """The tensors that ``module`` gives while the block runs, copied (an activation may overwrite them). Raises UsageError at once
    if it gives something else."""
    kept: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, __: Any, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim not in (2, 4):
            raise UsageError("this layer gives no map of channels", fix="--list-layers names those that do")
        kept.append(output.clone())

    hook = module.register_forward_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()
