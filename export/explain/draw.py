"""Pictures for people, with matplotlib's Agg backend: no display is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from edge.data import F32, Score, U8Image
from export.canvas import new_figure, plain, png
from export.explain.seen_part import Box
from export.explain.strongest import Channel
from export.load.model import import_extra

_LABEL_CHARACTERS = 28
_UNSEEN_SHADE = 0.45
_TILE_PX = 72


def heat_png(
    photo: U8Image, box: Box, heat: F32, *, top: Sequence[Score], chosen: int, title: str, lines: Sequence[str]
) -> bytes:
    """The photo with the map over the part that the model saw, that part framed, and the best classes beside it.

    Args:
        photo: H×W×3 uint8 RGB.
        box: what the model saw of it.
        heat: h×w, any unit; what speaks against the class is not drawn.
        top: the best classes, the best first.
        chosen: index of the class that is explained.
        title: above all.
        lines: below the classes.
    """
    figure = new_figure((11, 5.4))
    grid = figure.add_gridspec(1, 2, width_ratios=(2.1, 1), left=0.02, right=0.97, top=0.88, bottom=0.06, wspace=0.05)
    figure.suptitle(plain(title), fontsize=12, x=0.02, ha="left")
    _draw_photo(figure.add_subplot(grid[0]), photo, box, heat)
    side = grid[1].subgridspec(2, 1, height_ratios=(1.5, 1), hspace=0.15)
    _draw_top(figure.add_subplot(side[0]), top, chosen)
    notes = figure.add_subplot(side[1])
    notes.axis("off")
    notes.text(0, 0.95, plain("\n".join(lines)), va="top", fontsize=9, linespacing=1.5, transform=notes.transAxes)
    return png(figure)


def sheet_png(channels: Sequence[Channel], patches: Sequence[Sequence[U8Image]], title: str, note: str) -> bytes:
    """A contact sheet: a row a channel, its strongest patch first (each of any size, all enlarged alike)."""
    columns = max(len(row) for row in patches)
    figure = new_figure((1.2 + 0.78 * columns, 0.9 + 0.78 * len(channels)))
    height = figure.get_figheight()
    figure.text(0.15 / figure.get_figwidth(), 1 - 0.22 / height, plain(title), fontsize=11, va="center")
    figure.text(0.15 / figure.get_figwidth(), 1 - 0.5 / height, plain(note), fontsize=7.5, va="center", color="0.3")
    grid = figure.add_gridspec(
        len(channels), columns, left=1.05 / figure.get_figwidth(), right=0.99, top=1 - 0.68 / height, bottom=0.08 / height
    )
    for row, (channel, cells) in enumerate(zip(channels, patches, strict=True)):
        for column, patch in enumerate(cells):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(_enlarged(patch))
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                label = f"channel {channel.index}\n{channel.values[0]:.2f}"
                axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8, labelpad=6)
    return png(figure)


def _draw_photo(axes: Any, photo: U8Image, box: Box, heat: F32) -> None:
    rectangle = import_extra("matplotlib.patches").Rectangle
    height, width = photo.shape[:2]
    left, top, right, bottom = box.left, box.top, box.left + box.width, box.top + box.height
    shown = (photo * np.float32(_UNSEEN_SHADE)).astype(np.uint8)
    rows, columns = slice(max(0, round(top)), round(bottom)), slice(max(0, round(left)), round(right))
    shown[rows, columns] = photo[rows, columns]
    axes.imshow(shown)
    positive = np.maximum(heat, 0)
    strength = positive / max(float(positive.max()), 1e-12)
    axes.imshow(
        strength,
        cmap="inferno",
        vmin=0,
        vmax=1,
        alpha=np.clip(strength * 1.4, 0, 0.72),
        extent=(left, right, bottom, top),
        interpolation="bilinear",
    )
    for colour, style, line_width in (("black", "-", 2.4), ("white", "--", 1.2)):
        axes.add_patch(rectangle((left, top), box.width, box.height, fill=False, ec=colour, ls=style, lw=line_width))
    levels = [level for level in (0.5, 0.8) if positive.max() > 0]
    if levels:  # so that a print in black and white shows it too
        x = left + (np.arange(heat.shape[1]) + 0.5) * box.width / heat.shape[1]
        y = top + (np.arange(heat.shape[0]) + 0.5) * box.height / heat.shape[0]
        axes.contour(x, y, strength, levels=levels, colors="white", linewidths=(0.8, 1.6))
    axes.set_xlim(min(0, left), max(width, right))
    axes.set_ylim(max(height, bottom), min(0, top))
    axes.axis("off")


def _draw_top(axes: Any, top: Sequence[Score], chosen: int) -> None:
    for row, score in enumerate(top):
        mine = score.index == chosen
        axes.barh(
            row, score.score, height=0.55, color="0.25" if mine else "0.8", ec="black", hatch=None if mine else "//", lw=0.6
        )
        text = score.label if len(score.label) <= _LABEL_CHARACTERS else score.label[: _LABEL_CHARACTERS - 1] + "…"
        weight = "bold" if mine else "normal"
        axes.text(0, row - 0.36, plain(f"{text}  {score.score:.3f}"), fontsize=9, va="bottom", weight=weight)
    axes.set_ylim(len(top) - 0.4, -0.95)
    axes.set_xlim(0, 1)
    axes.axis("off")


def _enlarged(patch: U8Image) -> U8Image:
    """At least ``_TILE_PX`` a side, pixels kept as squares."""
    factor = -(-_TILE_PX // max(patch.shape[:2]))
    if factor <= 1:
        return patch
    size = (patch.shape[1] * factor, patch.shape[0] * factor)
    return np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
