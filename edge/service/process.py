"""Which CPUs this process keeps to, how far behind others it stands, and how much memory it may take. Set before any thread starts."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import ConfigError

_SLASH = Path("/")

MORE_MEMORY_BYTES = 1_500_000_000
"""Beyond what the process has when it settles: several times what model, frames of 64 megapixels and queues come to."""
_GPU_DEVICES = ("nvidiactl", "nvmap", "nvhost-gpu", "kfd")
"""In /dev. Drivers of GPUs map far more than they use."""


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


@contextmanager
def limited_memory(more_bytes: int = MORE_MEMORY_BYTES, root: Path = _SLASH) -> Iterator[int | None]:
    """Meanwhile this process may have ``more_bytes`` of its own memory on top of what it has (RLIMIT_DATA, getrlimit(2)).

    A camera, a model or a file that asks for more is told no, which is an error of that one, and not of everything on the machine.
    Children that are started meanwhile are limited likewise. ``root`` holds dev and proc.

    Yields:
        The limit in bytes; None where there is none: a GPU is there, or the kernel does not say how much is taken.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = None if any((root / "dev" / name).exists() for name in _GPU_DEVICES) else _data_bytes(root)
    if wanted is not None:
        wanted = min([wanted + more_bytes, *(limit for limit in before if limit != resource.RLIM_INFINITY)])
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, before[1]))
    try:
        yield wanted
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _data_bytes(root: Path) -> int | None:
    """What RLIMIT_DATA counts of this process (proc(5): VmData); None if the kernel does not say."""
    try:
        status = (root / "proc/self/status").read_text(encoding="utf-8", errors="replace")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None
