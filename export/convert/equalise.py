"""Cross-layer equalisation: bring the channels between two convolutions to like ranges, so that one step size suits them all.

A channel that is scaled by 1/s behind the first convolution and by s in front of the second changes nothing in float, because ReLU keeps
positive factors (Nagel et al., 2019, https://arxiv.org/abs/1906.04721). Weights have a step for each output channel here, so what
suffers is the activation between the two, whose channels share one step: s is chosen from its measured range and from the second
convolution's weights, s = √(range of the channel / size of the weights that read it), each relative to the largest. A depthwise
convolution has a step of its own for every channel, so there the activation alone decides.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch.fx import Interpreter

from edge.data import U8Image
from export.convert.core import to_grid
from export.convert.trace import Pair, Trace
from export.load.model import FloatModel
from export.progress import Advance

_DEAD = 1e-4  # of the largest: a channel that says less is left alone
_LARGEST_FACTOR = 32.0
_CLIP = 6.0  # of ReLU6, which keeps factors only as far as no value reaches it
_HEADROOM = 1.25  # between the largest value that calibration saw and that clip


def equalise(model: FloatModel, images: U8Image, advance: Advance) -> FloatModel:
    """A copy of ``model`` that gives the same answers, with its channels equalised wherever a convolution alone reads a
    convolution, through a batch norm with factors, ReLU, or ReLU6 on channels that stay clear of its clip.

    Args:
        model: not changed.
        images: N×H×W×3 uint8 RGB at the model's size: they tell the ranges.
        advance: called after each image.
    """
    trace = Trace(model, 1)
    peaks: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for image in images:
            _peaks(trace, torch.from_numpy(to_grid(image[None])).permute(0, 3, 1, 2).contiguous(), peaks)
            advance()
    changed = copy.deepcopy(model.module).eval()
    with torch.no_grad():
        for pair in trace.pairs:
            _scale(changed, pair, peaks[pair.first].clone())
    return replace(model, module=changed)


def _peaks(trace: Trace, grid: torch.Tensor, peaks: dict[str, torch.Tensor]) -> None:
    """Take one picture into the largest magnitude of every channel between the pairs."""
    interpreter = Interpreter(trace.module, garbage_collect_values=False)
    interpreter.run(*trace.arguments(grid))
    for pair in trace.pairs:
        value = interpreter.env[pair.between]
        largest = value.abs().amax(dim=[0, *range(2, value.ndim)])
        before = peaks.get(pair.first)
        peaks[pair.first] = largest if before is None else torch.maximum(before, largest)


def _scale(module: torch.nn.Module, pair: Pair, peak: torch.Tensor) -> None:
    parameters = dict(module.named_parameters())
    first, second = parameters[f"{pair.first}.weight"], parameters[f"{pair.second}.weight"]
    before = [first, parameters.get(f"{pair.first}.bias")]
    if pair.norm is not None:
        before = [parameters.get(f"{pair.norm}.weight"), parameters.get(f"{pair.norm}.bias")]
        if before[0] is None:
            return  # a norm without factors undoes every scale
    channels = len(peak)
    groups = channels // second.shape[1]
    by_channel = second.reshape(groups, second.shape[0] // groups, second.shape[1], -1)
    row = by_channel.abs().amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    size = (by_channel.abs() / row).amax(dim=(1, 3)).reshape(-1)
    factor = _factors(peak, size, pair.activation == "relu6")
    for parameter in before:
        if parameter is not None:
            parameter.div_(factor.reshape(-1, *[1] * (parameter.ndim - 1)))
    by_channel.mul_(factor.reshape(groups, 1, second.shape[1], 1))


def _factors(peak: torch.Tensor, size: torch.Tensor, clipped: bool) -> torch.Tensor:
    """s of each channel; 1 where it must not change."""
    largest = peak.max()
    if not bool(largest > 0):
        return torch.ones_like(peak)
    relative = peak / largest
    factor = (relative / size.clamp_min(1e-6)).clamp_min(1e-12).sqrt() if bool((size < 1).any()) else relative.clone()
    factor = factor.clamp(1 / _LARGEST_FACTOR, 1.0)  # channels only grow, and never beyond the largest
    factor = torch.maximum(factor, relative)
    alone = (relative < _DEAD) | (size <= 0)
    if clipped:
        factor = torch.maximum(factor, _HEADROOM * peak / _CLIP)
        alone |= peak * _HEADROOM >= _CLIP
    return torch.where(alone, torch.ones_like(factor), factor)
