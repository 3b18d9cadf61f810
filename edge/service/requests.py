"""Asking root for what the service itself may not do: a file of the unit's name, which shelfcam-restart@UNIT.path serves."""

from __future__ import annotations

import logging
from pathlib import Path

_LOG = logging.getLogger(__name__)

DIRECTORY = Path("/run/shelfcam-restart")
REBOOT = "reboot"


def ask_restart(unit: str, directory: Path = DIRECTORY) -> bool:
    """Ask for the restart of ``unit``, or with ``REBOOT`` of the machine; only what root has enabled is served. Returns whether the
    request could be made; where it could not, the reason is logged."""
    try:
        (directory / unit).touch()
    except OSError as error:
        _LOG.warning("%s: the restart of %s cannot be asked for: %s; fix: shelfcam install", directory, unit, error.strerror)
        return False
    return True
