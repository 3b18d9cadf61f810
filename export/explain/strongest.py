"""Which patches of many pictures excite a layer's channels most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from edge.data import F32, Region, U8Image
from edge.errors import UsageError
from edge.preprocess import preprocess
from export.explain.probabilities import torch_input
from export.explain.torch_layers import find_layer, outputs_of
from export.progress import Advance

if TYPE_CHECKING:
    from export.load.model import FloatModel

_BATCH = 8
_PROBES = 12
_ALIVE = 1e-3  # of the liveliest channel; batch norm leaves some that training switched off
MASS = 0.9
"""A receptive field holds this share of the gradient: the edges of a large one hardly matter (Luo et al. 2016,
https://arxiv.org/abs/1701.04128)."""


@dataclass(frozen=True, slots=True)
class Field:
    """Which pixels of the input one place of a layer looks at: ``height_px`` × ``width_px``, its middle ``down_px`` below and
    ``right_px`` right of the place's own middle (asymmetric padding shifts it). ``whole`` where the layer has no places."""

    height_px: int
    width_px: int
    down_px: float
    right_px: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    """The strongest answers of one channel, the strongest first, each from another picture: ``values``, ``pictures`` (index) and
    ``places_xy_px`` (middle in the model's input). ``score``: how far the strongest stands out, in standard deviations of all of
    the channel's answers."""

    index: int
    score: float
    values: tuple[float, ...]
    pictures: tuple[int, ...]
    places_xy_px: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ChannelPeaks:
    """Of N pictures and C channels: the highest value ``best`` (N×C) at ``row`` and ``column`` (N×C) of the layer's h×w map
    ``map_hw``, and each channel's ``mean`` and ``deviation`` (C) over all places of all pictures."""

    best: F32
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    map_hw: tuple[int, int]
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


def answers(model: FloatModel, layer: str, images: Sequence[U8Image], advance: Advance) -> ChannelPeaks:
    """Run the pictures (H×W×3 uint8 RGB, of any size) through the network and keep what ``layer`` says.

    Raises:
        UsageError: no such layer, or it gives no map of channels.
    """
    module, spec = find_layer(model, layer), torch_input(model)
    best, place, sums, squares, count, map_hw = [], [], 0.0, 0.0, 0, (1, 1)
    for start in range(0, len(images), _BATCH):
        some = images[start : start + _BATCH]
        batch = torch.from_numpy(preprocess([Region("picture", image) for image in some], spec))
        with torch.inference_mode(), outputs_of(module) as kept:
            model.module(batch)
        if not kept:
            raise UsageError(f"{model.name}: layer {layer} did not run", fix="--list-layers names those that do")
        output = kept[0].reshape(len(some), kept[0].shape[1], *(kept[0].shape[2:] or (1, 1))).double()
        map_hw = (int(output.shape[2]), int(output.shape[3]))
        flat = output.flatten(2)
        value, where = flat.max(dim=2)
        best.append(value.float().numpy())
        place.append(where.numpy())
        sums, squares = sums + flat.sum(dim=(0, 2)).numpy(), squares + (flat**2).sum(dim=(0, 2)).numpy()
        count += flat.shape[0] * flat.shape[2]
        for _ in some:
            advance()
    mean = np.asarray(sums / count)
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    places = np.concatenate(place)
    return ChannelPeaks(np.concatenate(best), places // map_hw[1], places % map_hw[1], map_hw, mean, deviation)


def strongest(found: ChannelPeaks, size_hw_px: tuple[int, int], *, channels: int, patches: int) -> list[Channel]:
    """The ``channels`` whose strongest answer stands out most, each with its ``patches`` strongest pictures (fewer, if there are
    fewer pictures). Channels that (almost) always say the same are left out."""
    alive = found.deviation > _ALIVE * found.deviation.max()
    score = np.where(alive, (found.best.max(axis=0) - found.mean) / np.where(alive, found.deviation, 1), -np.inf)
    step_y, step_x = size_hw_px[0] / found.map_hw[0], size_hw_px[1] / found.map_hw[1]
    result = []
    for index in np.argsort(-score, kind="stable")[: min(channels, int(alive.sum()))]:
        order = np.argsort(-found.best[:, index], kind="stable")[:patches]
        middles = [((found.column[n, index] + 0.5) * step_x, (found.row[n, index] + 0.5) * step_y) for n in order]
        result.append(
            Channel(
                index=int(index),
                score=float(score[index]),
                values=tuple(float(found.best[n, index]) for n in order),
                pictures=tuple(int(n) for n in order),
                places_xy_px=tuple((float(x), float(y)) for x, y in middles),
            )
        )
    return result


def receptive_field(model: FloatModel, layer: str, images: Sequence[U8Image]) -> Field:
    """Measured, not computed from strides, so that it holds for any network: the gradient of a place in the middle of the map with
    respect to the input, its absolute values added up over some pictures and channels; the field is the smallest rectangle that keeps
    ``MASS`` of it in each direction, an equal rest being cut off at both sides."""
    module, spec = find_layer(model, layer), torch_input(model)
    height, width = model.size_hw_px
    mass, middle = np.zeros((height, width)), (0.5, 0.5)
    for number in range(_PROBES):
        image = images[number % len(images)]
        batch = torch.from_numpy(preprocess([Region("picture", image)], spec)).requires_grad_()
        with torch.enable_grad(), outputs_of(module) as kept:
            model.module(batch)
        if kept[0].ndim == 2:
            return Field(height, width, 0.0, 0.0, whole=True)
        rows, columns = int(kept[0].shape[2]), int(kept[0].shape[3])
        middle = ((rows // 2 + 0.5) / rows, (columns // 2 + 0.5) / columns)
        channels = torch.randn(kept[0].shape[1], generator=torch.Generator().manual_seed(number))
        (gradient,) = torch.autograd.grad((kept[0][0, :, rows // 2, columns // 2] * channels).sum(), batch)
        plane = gradient[0].abs().sum(dim=0).double().numpy()
        mass += plane / max(float(plane.sum()), 1e-30)
    top, bottom = _span(mass.sum(axis=1))
    left, right = _span(mass.sum(axis=0))
    down, aside = (top + bottom) / 2 - middle[0] * height, (left + right) / 2 - middle[1] * width
    return Field(bottom - top, right - left, down, aside)


def cut(image: U8Image, place_xy_px: tuple[float, float], field: Field) -> U8Image:
    """The patch of an H×W×3 picture at the model's size that a place looks at; what lies outside the picture is left out."""
    if field.whole:
        return image
    x, y = place_xy_px[0] + field.right_px, place_xy_px[1] + field.down_px
    rows = _inside(y, field.height_px, image.shape[0])
    columns = _inside(x, field.width_px, image.shape[1])
    return image[rows, columns]


def _inside(middle: float, length: int, limit: int) -> slice:
    """The part of a stretch that lies in 0…``limit``, at least one pixel."""
    start = round(middle - length / 2)
    first = min(max(start, 0), limit - 1)
    return slice(first, max(min(start + length, limit), first + 1))


def _span(line: npt.NDArray[np.float64]) -> tuple[int, int]:
    """(first, behind last) of the shortest middle stretch that keeps ``MASS`` of a line."""
    share = np.cumsum(line) / max(float(line.sum()), 1e-30)
    rest = (1 - MASS) / 2
    return int(np.searchsorted(share, rest, side="right")), int(np.searchsorted(share, 1 - rest, side="left")) + 1
