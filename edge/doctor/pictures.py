"""The pictures of slots: how many there are, and whether they are still wanted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from edge.check import unwritable_reason
from edge.config import DeviceConfig, pictures_directory
from edge.doctor.access import User
from edge.doctor.line import Line, ok, warn
from edge.pictures.ring import stored

_DAY_S = 86_400


def pictures(config: DeviceConfig, user: User) -> Iterator[Line]:
    """One line; none for a site that keeps none and has none."""
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
