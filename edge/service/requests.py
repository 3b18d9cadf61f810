"""Asking root for what the service itself may not do: a message to the socket shelfcam-restart@UNIT.socket of a daemon.

The name is the whole request, so root has nothing to parse; a name that root did not enable has no socket.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path

_LOG = logging.getLogger(__name__)

DIRECTORY = Path("/run/shelfcam-restart")
REBOOT = "reboot"


def ask_restart(unit: str, directory: Path = DIRECTORY) -> bool:
    """Ask for the restart of ``unit``, or with ``REBOOT`` of the machine; only what root has enabled is served. Returns whether the
    request could be made; where it could not, the reason is logged. Never waits."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as asking:
            asking.sendto(b"1", str(directory / unit))
    except BlockingIOError:
        return True  # as many requests wait as can
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        fix = f"shelfcam install, and systemctl enable --now shelfcam-restart@{unit}.socket"
        _LOG.warning("%s: the restart of %s cannot be asked for: %s; fix: %s", directory, unit, reason, fix)
        return False
    return True
