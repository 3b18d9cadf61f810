"""Which layers lose most by 8 bits: each quantized alone, and the damage measured at the network's answer.

The signal-to-quantization-noise ratio is 10·log10(Σy² / Σ(y − ŷ)²) in decibels, over all values y of the float network and ŷ of the one
in which a single layer is quantized: its input, its weights, and what comes out behind its batch norm and activation, which
runtimes fuse. The grids are those of the real quantizers, the arithmetic is PyTorch's on rounded values: a simulation,
which takes seconds where converting the network once a layer takes minutes, and knows nothing of a kernel that saturates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Interpreter, Node
from torch.fx.node import map_arg

from edge.data import U8Image
from export.convert.core import to_grid
from export.convert.options import WeightBits
from export.convert.rounding import LEVELS
from export.convert.trace import Trace, operator
from export.load.model import FloatModel
from export.progress import Progress, silent

DECIBELS_MAX = 120.0
"""Said of a layer that loses nothing."""
_STEPS = 255
_PICTURES_A_TIME = 4


@dataclass(frozen=True, slots=True)
class LayerError:
    """``layer`` is the module's name. ``sqnr_db``: at the network's answer; ``own_sqnr_db``: at the layer's own. ``macs`` for one
    picture."""

    layer: str
    sqnr_db: float
    own_sqnr_db: float
    macs: int
    weight_elements: int


def measure(
    model: FloatModel,
    images: U8Image,
    *,
    weight_bits: WeightBits = 8,
    weights: FloatModel | None = None,
    progress: Progress = silent,
) -> list[LayerError]:
    """Every layer's error when it alone is quantized, the worst first.

    Args:
        model: the float network.
        images: N×H×W×3 uint8 RGB at the model's size, 8 are enough for the order; they also give the ranges.
        weight_bits: of the weights' grid, per output channel.
        weights: the same network with weights already on that grid (``export.convert.rounding``); without it they are rounded one by one.
        progress: told about every batch of layers.
    """
    batch = min(_PICTURES_A_TIME, len(images))
    images = images[: len(images) // batch * batch]
    simulator = _Simulator(model, weights or model, weight_bits, batch)
    advance = progress("layer sensitivity", len(images) // batch * len(simulator.trace.layers))
    grids = [torch.from_numpy(_grid(images[i : i + batch])) for i in range(0, len(images), batch)]
    with torch.inference_mode():
        for grid in grids:
            simulator.widen(grid)
        for grid in grids:
            simulator.compare(grid, advance)
    return sorted(simulator.errors(), key=lambda error: (error.sqnr_db, error.layer))


class _Simulator:
    """Runs the float graph, then from each quantized layer on only what depends on it."""

    def __init__(self, model: FloatModel, weights: FloatModel, bits: WeightBits, batch: int) -> None:
        self.trace = Trace(model, batch)
        self._weights = {
            name: _on_grid(weights.module.get_parameter(f"{name}.weight").detach(), node, LEVELS[bits])
            for name, node in self.trace.nodes.items()
        }
        self._after = {name: _dependants(self.trace.chain(node)[-1]) for name, node in self.trace.nodes.items()}
        self._ranges: dict[Node, tuple[float, float]] = {}
        self._sums = {name: np.zeros(4) for name in self.trace.nodes}  # signal and noise at the end, then of its own

    def widen(self, grid: torch.Tensor) -> None:
        """Take a batch into the ranges."""
        env = self._float(grid)
        for node in self.trace.nodes.values():
            for point in (_data(node), self.trace.chain(node)[-1]):
                low, high = self._ranges.get(point, (0.0, 0.0))
                value = env[point]
                self._ranges[point] = (min(low, float(value.min())), max(high, float(value.max())))

    def compare(self, grid: torch.Tensor, advance: Any) -> None:
        """Quantize every layer in turn and add up what it changes."""
        env = self._float(grid)
        answer = next(node for node in self.trace.module.graph.nodes if node.op == "output").all_input_nodes[0]
        for name, node in self.trace.nodes.items():
            chain = self.trace.chain(node)
            own = self._quantized(name, chain, env)
            changed = {other: value for other, value in env.items() if other not in self._after[name]}
            changed[chain[-1]] = own
            result = own if chain[-1] is answer else self._resume(grid, changed, answer)
            for at, (real, found) in enumerate([(env[answer], result), (env[chain[-1]], own)]):
                self._sums[name][2 * at] += float(real.double().square().sum())
                self._sums[name][2 * at + 1] += float((real.double() - found.double()).square().sum())
            advance()

    def errors(self) -> list[LayerError]:
        """One a layer, in order of execution."""
        return [
            LayerError(
                layer.name,
                round(decibels(*self._sums[layer.name][:2]), 2),
                round(decibels(*self._sums[layer.name][2:]), 2),
                layer.macs,
                layer.weight_elements,
            )
            for layer in self.trace.layers
        ]

    def _float(self, grid: torch.Tensor) -> dict[Node, Any]:
        interpreter = Interpreter(self.trace.module, garbage_collect_values=False)
        interpreter.run(*self.trace.arguments(grid))
        return {node: value for node, value in interpreter.env.items() if node.op != "output"}

    def _resume(self, grid: torch.Tensor, env: dict[Node, Any], answer: Node) -> torch.Tensor:
        interpreter = Interpreter(self.trace.module, garbage_collect_values=False)
        interpreter.run(*self.trace.arguments(grid), initial_env=env)  # what stands in there is not computed again
        result: torch.Tensor = interpreter.env[answer]
        return result

    def _quantized(self, name: str, chain: Sequence[Node], env: dict[Node, Any]) -> torch.Tensor:
        layer, data = chain[0], _data(chain[0])
        local: dict[Node, Any] = {data: _fake(env[data], *self._ranges[data])}
        for node in chain:
            arguments = map_arg(node.args, lambda used: local.get(used, env.get(used)))
            if node is layer:
                arguments = (arguments[0], self._weights[name], *arguments[2:])
            function: Any = node.target
            local[node] = function(*arguments, **node.kwargs)
        return _fake(local[chain[-1]], *self._ranges[chain[-1]])


def decibels(signal: float, noise: float) -> float:
    """10·log10(signal / noise), at most ``DECIBELS_MAX``; −``DECIBELS_MAX`` without a signal."""
    if noise <= 0:
        return DECIBELS_MAX
    if signal <= 0 or not math.isfinite(noise):
        return -DECIBELS_MAX
    return max(-DECIBELS_MAX, min(DECIBELS_MAX, 10 * math.log10(signal / noise)))


def _grid(images: U8Image) -> Any:
    return np.ascontiguousarray(to_grid(images).transpose(0, 3, 1, 2))


def _data(layer: Node) -> Node:
    return layer.all_input_nodes[0]


def _dependants(node: Node) -> set[Node]:
    """``node`` and everything that is computed from it."""
    found, left = {node}, [node]
    while left:
        fresh = [user for user in left.pop().users if user not in found]
        found.update(fresh)
        left += fresh
    return found


def _on_grid(weight: torch.Tensor, node: Node, top: int) -> torch.Tensor:
    """Symmetric, each output channel with a step of its own."""
    axis = 1 if operator(node) == "conv_transpose2d" else 0
    others = [dim for dim in range(weight.ndim) if dim != axis]
    step = weight.abs().amax(dim=others, keepdim=True).clamp_min(1e-12) / top
    return (weight / step).round() * step


def _fake(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Onto 256 steps between ``low`` and ``high``, zero among them."""
    if high <= low:
        return values
    step = (high - low) / _STEPS
    zero = round(-low / step)
    return ((values / step).round().clamp(-zero, _STEPS - zero)) * step
