"""Asking root for what the service itself may not do: a byte into the pipe of a daemon's name, which shelfcam-restart@UNIT.socket serves.

The name is the whole request, so root has nothing to parse; a name that root did not enable has no pipe.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

_LOG = logging.getLogger(__name__)

DIRECTORY = Path("/run/shelfcam-restart")
REBOOT = "reboot"


def ask_restart(unit: str, directory: Path = DIRECTORY) -> bool:
    """Ask for the restart of ``unit``, or with ``REBOOT`` of the machine; only what root has enabled is served. Returns whether the
    request could be made; where it could not, the reason is logged. Never waits."""
    try:
        pipe = os.open(directory / unit, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
                raise OSError(errno.EINVAL, "is no pipe")
            os.write(pipe, b"1")
        finally:
            os.close(pipe)
    except BlockingIOError:
        return True  # as many requests wait as can
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        fix = f"shelfcam install, and systemctl enable --now shelfcam-restart@{unit}.socket"
        _LOG.warning("%s: the restart of %s cannot be asked for: %s; fix: %s", directory, unit, reason, fix)
        return False
    return True
