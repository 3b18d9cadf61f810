"""The slots, and the reference that they are watched by."""

from __future__ import annotations

from edge.config import DeviceConfig, state_directory
from edge.doctor.line import Line, failed, ok, warn
from edge.errors import ShelfcamError
from edge.images import read_rgb
from edge.shelf import reference
from edge.shelf.layout import place_of


def slots(config: DeviceConfig) -> list[Line]:
    """Whether each slot lies in the reference's picture; nothing for a site without slots."""
    if not config.slot:
        return []
    path = state_directory(config) / reference.FILE_NAME
    if not path.is_file():
        return [warn("slots", f"{len(config.slot)}, without a reference: none is ever called empty", reference.FIX)]
    try:
        size_hw_px = read_rgb(path).shape[:2]
        for slot in config.slot:
            place_of(slot, size_hw_px)
    except ShelfcamError as error:
        return [failed("slots", error)]
    return [ok("slots", f"{len(config.slot)}, reference of {size_hw_px[1]}×{size_hw_px[0]} pixels")]
