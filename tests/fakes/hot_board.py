"""A board whose thermal zones are files of a test, for a real process that knows nothing of it: a mount namespace of its own in which
they lie over /sys/class.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

_ENTER = 'mount --bind "$1" /sys/class && shift && exec "$@"'


class Board:
    """One zone, ``tj-thermal``, that throttles at ``limit_c``, and the cooling device of the CPU's clock."""

    def __init__(self, folder: Path, *, celsius: float, limit_c: float = 90.0) -> None:
        self._root = folder
        self._zone, self._clock = folder / "thermal" / "thermal_zone0", folder / "thermal" / "cooling_device0"
        self._write(self._zone / "type", "tj-thermal")
        self._write(self._zone / "trip_point_0_type", "passive")
        self._write(self._zone / "trip_point_0_temp", f"{limit_c * 1000:.0f}")
        self._write(self._clock / "type", "cpufreq-cpu0")
        self.throttle(0)
        self.heat(celsius)

    def heat(self, celsius: float) -> None:
        """From now on it is so warm."""
        self._write(self._zone / "temp", f"{celsius * 1000:.0f}")

    def throttle(self, state: int) -> None:
        """From now on the kernel holds the clock down; 0: no longer."""
        self._write(self._clock / "cur_state", str(state))

    def around(self, command: list[str]) -> list[str]:
        """``command`` on this board."""
        return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", str(self._root), *command]

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text + "\n")
        new.replace(path)


@functools.cache
def why_not() -> str:
    """Why there can be no such board here; empty if there can."""
    command = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", "/tmp", "true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return f"no mount namespace can be made here: {tried.stderr.strip()}" if tried.returncode else ""
