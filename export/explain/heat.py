"""Heat maps of one decision, without looking inside the model: hide parts of the picture and see how the score moves.

Pure functions over a ``Score``; hidden pixels become ``GREY`` (or a blurred picture). A map is H×W float32, at the model's size, in
units of probability: positive where a pixel speaks for the class, negative where it speaks against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import F32, U8Image
from export.explain.probabilities import Score, in_batches
from export.progress import Advance

GREY = 127
BATCH = 8


@dataclass(frozen=True, slots=True)
class Deletion:
    """Hide pixels in the order of a heat map, a step at a time, down to nothing: the mean probability on the way, in [0, 1].

    ``hottest_first`` is the deletion score of Petsiuk et al. 2018 (https://arxiv.org/abs/1806.07421), the lower the better the map;
    ``coldest_first`` hides in the opposite order: the higher, the better.
    """

    hottest_first: float
    coldest_first: float


def occlusion(
    image: U8Image, score: Score, index: int, *, patch_px: int, stride_px: int, hidden: U8Image, advance: Advance
) -> F32:
    """Slide a patch over the picture (Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901): a pixel's heat is the mean loss of
    probability over all patches that cover it.

    Args:
        image: H×W×3 uint8 RGB at the model's size.
        score: the model.
        index: the class.
        patch_px: side of the patch.
        stride_px: from one patch to the next, at most ``patch_px``, so that every pixel is covered.
        hidden: H×W×3, what stands where the patch is.
        advance: called after each picture scored.
    """
    base = float(score(image[None])[0, index])
    height, width = image.shape[:2]
    corners = [(y, x) for y in _starts(height, patch_px, stride_px) for x in _starts(width, patch_px, stride_px)]
    total, covered = np.zeros((height, width), np.float64), np.zeros((height, width), np.float64)
    for start in range(0, len(corners), BATCH):
        some = corners[start : start + BATCH]
        batch = np.repeat(image[None], len(some), axis=0)
        for picture, (y, x) in zip(batch, some, strict=True):
            picture[y : y + patch_px, x : x + patch_px] = hidden[y : y + patch_px, x : x + patch_px]
        for value, (y, x) in zip(score(batch)[:, index], some, strict=True):
            total[y : y + patch_px, x : x + patch_px] += base - float(value)
            covered[y : y + patch_px, x : x + patch_px] += 1
            advance()
    return np.asarray(total / covered, dtype=np.float32)


def occlusion_runs(size_hw_px: tuple[int, int], patch_px: int, stride_px: int) -> int:
    """How many pictures ``occlusion`` scores."""
    return len(_starts(size_hw_px[0], patch_px, stride_px)) * len(_starts(size_hw_px[1], patch_px, stride_px))


def rise(
    image: U8Image, score: Score, index: int, *, masks: int, cells: int, seed: int, hidden: U8Image, advance: Advance
) -> F32:
    """Randomized input sampling (RISE, Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421): score the picture under random soft
    masks. A pixel's heat is the mean score of the masks that show it, each weighted by how much it shows, less the mean of all.
    (The paper divides by the expected sum of masks and subtracts nothing: the same order of pixels, but for few masks noisier.)

    Args:
        image: H×W×3 uint8 RGB at the model's size.
        score: the model.
        index: the class.
        masks: how many; the paper takes 4,000 to 8,000, the large features are there from some hundreds on.
        cells: a mask is drawn on a grid of so many cells a side, then enlarged; half of the cells are hidden.
        seed: of the masks.
        hidden: H×W×3, what stands where a mask is 0.
        advance: called after each picture scored.
    """
    height, width = image.shape[:2]
    shown, below = image.astype(np.float32), hidden.astype(np.float32)
    weighted, weight = np.zeros((height, width), np.float64), np.zeros((height, width), np.float64)
    total = 0.0
    for drawn in _mask_batches((height, width), masks, cells, seed):
        mixed = drawn[..., None] * shown + (1 - drawn[..., None]) * below
        values = score(np.rint(mixed).astype(np.uint8))[:, index].astype(np.float64)
        weighted += np.tensordot(values, drawn, axes=1)
        weight += drawn.sum(axis=0)
        total += float(values.sum())
        for _ in drawn:
            advance()
    return np.asarray(weighted / np.maximum(weight, 1e-9) - total / masks, dtype=np.float32)


def deletion(image: U8Image, score: Score, index: int, heat: F32, *, hidden: U8Image, steps: int = 28) -> Deletion:
    """How well a map names the pixels that matter."""
    hottest = np.argsort(-heat, axis=None, kind="stable")
    means = []
    for order in (hottest, hottest[::-1]):
        pictures = [_hide(image, hidden, order[: round(step / steps * order.size)]) for step in range(steps + 1)]
        means.append(_mean(in_batches(score, np.stack(pictures), BATCH)[:, index]))
    return Deletion(*means)


def without_hottest(image: U8Image, score: Score, index: int, heat: F32, *, hidden: U8Image, share: float) -> float:
    """The probability that is left when the hottest ``share`` of the pixels is hidden."""
    order = np.argsort(-heat, axis=None, kind="stable")
    return float(score(_hide(image, hidden, order[: round(share * order.size)])[None])[0, index])


def grey_like(image: U8Image) -> U8Image:
    """A picture of ``GREY``."""
    return np.full_like(image, GREY)


def blurred(image: U8Image) -> U8Image:
    """The picture without anything smaller than about a fifth of it; what remains looks natural, without new edges."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(image.shape[:2]) / 10), dtype=np.uint8)


def peak_xy_px(heat: F32) -> tuple[float, float]:
    """Where the map is highest: (x, y) of the middle of a pixel, or of the middle of all pixels that share the highest value."""
    rows, columns = np.nonzero(heat >= heat.max())
    return float(columns.mean() + 0.5), float(rows.mean() + 0.5)


def _starts(length: int, patch_px: int, stride_px: int) -> list[int]:
    """Where patches begin; the last one ends at the edge."""
    last = max(0, length - patch_px)
    return [*range(0, last, stride_px), last]


def _mask_batches(size_hw_px: tuple[int, int], count: int, cells: int, seed: int) -> Iterator[F32]:
    """n×H×W float32 in [0, 1]: coarse random grids, enlarged linearly, each shifted by up to a cell."""
    rng = np.random.default_rng(seed)
    height, width = size_hw_px
    cell_h, cell_w = -(-height // cells), -(-width // cells)
    for start in range(0, count, BATCH):
        drawn = np.empty((min(BATCH, count - start), height, width), np.float32)
        for mask in drawn:
            grid = (rng.random((cells + 1, cells + 1)) < 0.5).astype(np.float32)
            large = cv2.resize(grid, ((cells + 1) * cell_w, (cells + 1) * cell_h), interpolation=cv2.INTER_LINEAR)
            top, left = int(rng.integers(0, cell_h)), int(rng.integers(0, cell_w))
            mask[:] = large[top : top + height, left : left + width]
        yield drawn


def _mean(values: F32) -> float:
    """The area under a curve from 0 to 1, by trapezoids."""
    return float((values[1:].astype(np.float64) + values[:-1]).mean() / 2)


def _hide(image: U8Image, hidden: U8Image, order: npt.NDArray[np.intp]) -> U8Image:
    picture: U8Image = image.copy()
    picture.reshape(-1, 3)[order] = hidden.reshape(-1, 3)[order]
    return picture
