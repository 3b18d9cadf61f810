"""Round a network's weights to the 8-bit (or 7-bit) grid so that its answers, and not each weight, change least.

Rounding each weight to the nearest step is not the best that a layer can do: the error of one weight can be made up for by the ones
that are still to be rounded, because their inputs are correlated. This is GPTQ (Frantar et al., 2022, https://arxiv.org/abs/2210.17323),
here for convolutions. What comes out is an ordinary float network whose weights lie on the grid that the quantizers then find again.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from edge.data import U8Image
from export.convert.core import Core, to_grid
from export.convert.options import WeightBits
from export.load.model import FloatModel
from export.progress import Advance

LEVELS: dict[WeightBits, int] = {7: 64, 8: 127}
"""Weight bits → the largest quantized magnitude: a row's largest weight is ± that (symmetric, per output channel)."""

_DAMPING = 0.01  # of the mean diagonal, as in the paper
_MAX_POSITIONS = 1024  # of one picture that a layer's statistics are taken from: neighbours are much alike
_BLOCK = 64  # columns whose effect on the rest is applied together
_LONGEST = 8192  # inputs of one row that make up for each other: their matrix takes half a gigabyte, and VGG-19's 25,088 would take five


@dataclass(frozen=True, slots=True)
class RoundedLayer:
    """What rounding needs to know of a convolution or matrix, ``name`` in the network.

    ``gram`` is G×I×I: the sum of x·xᵀ over the inputs x that the layer's I weights of one row are multiplied with. G is the
    number of groups: 1 for an ordinary convolution, the channels of a depthwise one. Rows of more than ``_LONGEST`` weights are
    divided into parts of equal length that know nothing of each other; then G is groups times parts, and I a part's length.
    """

    name: str
    module: torch.nn.Conv2d | torch.nn.Linear
    gram: torch.Tensor


def statistics(model: FloatModel, images: U8Image, advance: Advance) -> list[RoundedLayer]:
    """How the inputs of every layer are correlated over N×H×W×3 uint8 RGB ``images`` at the model's size.

    ``advance`` is called after each picture.
    """
    named = model.module.named_modules()
    layers = [RoundedLayer(name, m, _empty_gram(m)) for name, m in named if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    hooks = [layer.module.register_forward_pre_hook(_collector(layer)) for layer in layers]
    core = Core(model).eval()
    try:
        with torch.inference_mode():
            for image in images:
                core(torch.from_numpy(np.ascontiguousarray(to_grid(image[None]).transpose(0, 3, 1, 2))))
                advance()
    finally:
        for hook in hooks:
            hook.remove()
    return layers


def round_weights(model: FloatModel, layers: list[RoundedLayer], *, weight_bits: WeightBits, advance: Advance) -> FloatModel:
    """A copy of ``model`` with every convolution's and matrix's weights on the grid of ``weight_bits``; ``layers`` are its
    ``statistics``, and ``advance`` is called after each."""
    rounded = copy.deepcopy(model.module).eval()
    with torch.no_grad():
        for layer in layers:
            weight = layer.module.weight
            groups, parts, length = _division(layer.module)
            rows = weight.reshape(groups, -1, parts, length).double()
            step = rows.abs().amax(dim=(2, 3), keepdim=True).clamp_min(1e-12) / LEVELS[weight_bits]
            rows, steps = (values.transpose(1, 2).flatten(0, 1) for values in (rows, step.expand(-1, -1, parts, -1)))
            grid = _round_rows(rows, layer.gram, steps, LEVELS[weight_bits])
            grid = grid.reshape(groups, parts, -1, length).transpose(1, 2)
            rounded.get_submodule(layer.name).weight.copy_(grid.reshape(weight.shape))
            advance()
    return replace(model, module=rounded)


def _division(module: torch.nn.Conv2d | torch.nn.Linear) -> tuple[int, int, int]:
    """(groups, parts of a row, length of a part); all parts are as long as each other, and as few as can be."""
    groups = module.groups if isinstance(module, torch.nn.Conv2d) else 1
    length = module.weight[0].numel()
    parts = next(n for n in range(1, length + 1) if length % n == 0 and length // n <= _LONGEST)
    return groups, parts, length // parts


def _empty_gram(module: torch.nn.Conv2d | torch.nn.Linear) -> torch.Tensor:
    groups, parts, length = _division(module)
    return torch.zeros(groups * parts, length, length, dtype=torch.float64)


def _collector(layer: RoundedLayer) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], None]:
    def collect(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        groups, parts, length = _division(layer.module)
        rows = _patches(layer.module, inputs[0], groups)
        rows = rows.reshape(groups, -1, parts, length).transpose(1, 2).flatten(0, 1)
        layer.gram.add_(torch.bmm(rows.transpose(1, 2), rows).double())

    return collect


def _patches(module: torch.nn.Conv2d | torch.nn.Linear, x: torch.Tensor, groups: int) -> torch.Tensor:
    """G×P×I: what a row of the weights is multiplied with, at P positions spread over the picture. Padding is left out: it only
    adds zeros at the edge."""
    if isinstance(module, torch.nn.Linear):
        return x.reshape(1, -1, x.shape[-1])
    high, wide = module.kernel_size
    x = functional.pad(x, (0, max(0, wide - x.shape[3]), 0, max(0, high - x.shape[2])))  # at least one position
    thin = math.ceil(math.sqrt(x.shape[2] * x.shape[3] / (module.stride[0] * module.stride[1] * _MAX_POSITIONS)))
    stride = tuple(step * max(1, thin) for step in module.stride)
    columns = functional.unfold(x, module.kernel_size, dilation=module.dilation, stride=stride)  # N×(C·k)×P
    n, _, positions = columns.shape
    return columns.reshape(n, groups, -1, positions).permute(1, 0, 3, 2).reshape(groups, n * positions, -1)


def _round_rows(weight: torch.Tensor, gram: torch.Tensor, step: torch.Tensor, top: int) -> torch.Tensor:
    """``weight`` G×O×I, ``gram`` G×I×I and ``step`` G×O×1, float64 → weights on the grid. A row's largest weight stays what it is,
    ±``top`` steps: so the quantizers, which look for the largest, find the same step."""
    use = gram.diagonal(dim1=1, dim2=2).sum(dim=0)
    order = use.argsort(descending=True)  # the most used inputs first, while all others can still make up for them
    exact = weight[:, :, order]
    fixed = exact.abs() >= step * (top - 1e-6)
    left, out = exact.clone(), torch.empty_like(exact)
    spread = _inverse_factor(gram[:, order][:, :, order])
    for start in range(0, left.shape[2], _BLOCK):  # within a block at once, behind it in one product: the same sums, sooner
        block = slice(start, min(start + _BLOCK, left.shape[2]))
        now, inner = left[:, :, block], spread[:, block, block]
        errors = torch.empty_like(now)
        for j in range(now.shape[2]):
            column = slice(j, j + 1)
            grid = (now[:, :, column] / step).round().clamp(-top, top) * step
            grid = torch.where(fixed[:, :, block][:, :, column], exact[:, :, block][:, :, column], grid)
            out[:, :, start + j] = grid[:, :, 0]
            errors[:, :, column] = (now[:, :, column] - grid) / inner[:, column, column]
            now[:, :, j + 1 :] -= errors[:, :, column] * inner[:, column, j + 1 :]
        left[:, :, block.stop :] -= errors @ spread[:, block, block.stop :]
    return out[:, :, order.argsort()]


def _inverse_factor(gram: torch.Tensor) -> torch.Tensor:
    """Upper Cholesky factor of the damped inverse of each G×I×I matrix."""
    mean = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)
    damped = gram + torch.diag_embed((_DAMPING * mean)[:, None].expand(-1, gram.shape[1]))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: torch.Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor
