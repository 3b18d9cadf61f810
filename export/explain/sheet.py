"""The contact sheet of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.data import U8Image
from edge.errors import DataError
from edge.images import read_rgb
from export.explain import strongest
from export.explain.draw import sheet_png
from export.explain.seen_part import fitted
from export.progress import Progress

if TYPE_CHECKING:
    from export.load.model import FloatModel

PATCHES = 9


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the sheet shows: per channel the files of ``pictures`` (by index) that its patches are cut from."""

    layer: str
    field: strongest.Field
    pictures: tuple[str, ...]
    channels: tuple[strongest.Channel, ...]

    @property
    def about(self) -> str:
        """The patches' size and origin, for people."""
        field = self.field
        size = "whole pictures" if field.whole else f"patches of {field.width_px}×{field.height_px} pixels of the input"
        return f"{size}, from {len(self.pictures)} pictures"


def contact_sheet(
    model: FloatModel, layer: str, files: Sequence[Path], channels: int, progress: Progress
) -> tuple[Sheet, bytes, list[str]]:
    """(what is on it, the PNG, why pictures were left out).

    Raises:
        UsageError: no such layer, or it gives no map of channels.
        DataError: no picture can be read.
    """
    images, names, unreadable = _read(model, files, progress)
    advance = progress(f"{layer} over {len(images)} pictures", len(images))
    answers = strongest.answers(model, layer, images, advance)
    found = strongest.strongest(answers, model.size_hw_px, channels=channels, patches=PATCHES)
    if not found:
        raise DataError(f"{layer}: every channel says the same to all {len(images)} pictures")
    field = strongest.receptive_field(model, layer, images)
    sheet = Sheet(layer, field, tuple(names), tuple(found))
    rows = [
        [strongest.cut(images[n], place, field) for n, place in zip(c.pictures, c.places_xy_px, strict=True)] for c in found
    ]
    note = f"{sheet.about}; strongest first; the number is the strongest answer"
    return sheet, sheet_png(found, rows, f"{model.name}, layer {layer}", note), unreadable


def _read(model: FloatModel, files: Sequence[Path], progress: Progress) -> tuple[list[U8Image], list[str], list[str]]:
    """At the model's size: thousands of photos must fit into memory."""
    advance = progress("reading pictures", len(files))
    images, names, unreadable = [], [], []
    for file in files:
        try:
            images.append(fitted(read_rgb(file), model.size_hw_px, model.fit))
            names.append(file.name)
        except DataError as error:
            unreadable.append(str(error))
        advance()
    if not images:
        raise DataError(f"none of the {len(files)} pictures can be read: {unreadable[0]}")
    return images, names, unreadable
