"""Which CPUs this process keeps to, and how far behind others it stands. Set before any thread starts: threads inherit both."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from edge.errors import ConfigError

_SLASH = Path("/")


def online_cpus(root: Path = _SLASH) -> frozenset[int]:
    """Numbers of the CPUs that are switched on ("0-2,4"; cpuinfo in the kernel's admin-guide/cputopology). ``root`` holds sys."""
    try:
        text = (root / "sys/devices/system/cpu/online").read_text(encoding="ascii")
        ranges = [part.partition("-")[::2] for part in text.strip().split(",")]
        return frozenset(cpu for first, last in ranges for cpu in range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        return frozenset(range(os.cpu_count() or 1))


def check_affinity(affinity: Collection[int], online: Collection[int] | None = None) -> None:
    """Raises ConfigError for a CPU that there is not; ``online``: those of this machine by default."""
    there = online_cpus() if online is None else online
    gone = sorted(set(affinity) - set(there))
    if gone:
        raise ConfigError(
            f"model.affinity: this machine has no CPU {', '.join(map(str, gone))}",
            fix=f"name some of: {', '.join(map(str, sorted(there)))}",
        )


def settle(affinity: Collection[int], nice: int) -> None:
    """Keep the calling thread, and all that it starts from now on, to ``affinity`` (empty: as it is) and to ``nice`` (0: as it is).

    Raises:
        ConfigError: a CPU does not exist or is not given to this process; or ``nice`` would put it before where it stands.
    """
    if affinity:
        check_affinity(affinity)
        try:
            os.sched_setaffinity(0, affinity)
        except OSError as error:
            raise ConfigError(f"model.affinity: {error.strerror or error}", fix="look at AllowedCPUs= of the unit") from error
        if os.sched_getaffinity(0) != set(affinity):
            mine = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
            raise ConfigError(
                f"model.affinity: of these CPUs this process is given only {mine}", fix="look at AllowedCPUs= of the unit"
            )
    if nice:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except PermissionError as error:
            now = os.getpriority(os.PRIO_PROCESS, 0)
            raise ConfigError(
                f"model.nice: {nice} is less than the {now} that it runs with", fix="look at Nice= of the unit"
            ) from error
