"""The slots, the reference that they are watched by, and their pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from edge.check import unwritable_reason
from edge.config import DeviceConfig, pictures_directory, state_directory
from edge.doctor.access import User
from edge.doctor.line import Line, failed, ok, warn
from edge.errors import ShelfcamError
from edge.images import read_rgb
from edge.pictures.ring import stored
from edge.shelf import reference
from edge.shelf.layout import place_of

_DAY_S = 86_400


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


def pictures(config: DeviceConfig, user: User) -> Iterator[Line]:
    """How many pictures of slots there are, and whether they are still wanted: one line; none for a site that keeps none and has none."""
    directory = pictures_directory(config)
    try:
        count, size, oldest_s = stored(directory, config.camera.name)
    except OSError as error:
        yield warn("pictures", f"{directory}: {error.strerror or error}", "run this as root")
        return
    found = f"{count} files, {size / 1e6:,.1f} MB"
    if oldest_s is not None:
        found += f", the oldest {max(0.0, time.time() - oldest_s) / _DAY_S:.1f} days old"
    if config.pictures is None:
        if count:
            yield warn("pictures", f"{found} in {directory}, though none are kept any more", _delete(directory, config))
        return
    found += f"; at most {config.pictures.max_mb} MB and {config.pictures.max_age_days} days, in {directory}"
    reason = unwritable_reason(directory, directory=True, access=user.may)
    if reason is not None:
        yield warn(
            "pictures",
            f"{directory}: {reason} (user {user.name}): none can be stored",
            f"sudo chown -R {user.name} {directory}",
        )
    else:
        yield ok("pictures", found)


def _delete(directory: Path, config: DeviceConfig) -> str:
    return f"delete them (rm {directory}/{config.camera.name}-*.jpg), or put [pictures] back into the config"
