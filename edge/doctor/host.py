"""The machine: board, system, Python, temperature, disk and clock."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from edge.board.boards import board_model
from edge.board.cooling import heat_of, rules_for, why_hot
from edge.board.thermal import read_thermal
from edge.check import nearest_existing
from edge.config import ThermalConfig
from edge.doctor.line import Line, fail, ok, warn
from edge.errors import ExitCode
from edge.sandbox import walls as sandbox_walls

PYTHONS = ((3, 10), (3, 13))
"""The first and the last that every dependency has an aarch64 wheel for."""

DISK_WARN_BYTES = 500_000_000
DISK_FAIL_BYTES = 20_000_000
"""Less than one bundle of the largest size: neither an update nor a day's events fit."""

_ROOT = Path("/")


def board(root: Path = _ROOT) -> Line:
    """What the firmware calls the machine."""
    return ok("board", f"{board_model(root)}, {os.cpu_count()} CPUs")


def system(root: Path = _ROOT, machine: str | None = None) -> Line:
    """The distribution, and whether it is one that runtimes have wheels for."""
    machine = machine or platform.machine()
    found = f"{_os_name(root)}, {machine}"
    if machine in ("x86_64", "aarch64"):
        return ok("system", found)
    return warn("system", f"{found}: no inference runtime has a wheel for it", "install the 64-bit system")


def python(version: tuple[int, int] | None = None) -> Line:
    """The interpreter."""
    version = version or sys.version_info[:2]
    found = f"{platform.python_version()} in {sys.prefix}"
    first, last = PYTHONS
    if first <= version <= last:
        return ok("python", found)
    allowed = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
    return warn("python", f"{found}: not one of {allowed}", f"make the virtual environment with Python {allowed}")


def sandbox(walls: Collection[str] | None = None) -> Line:
    """What confines the child in which an unknown bundle is tried."""
    walls = sandbox_walls() if walls is None else walls
    found = f"an unknown bundle is tried behind {', '.join(walls)}"
    if "seccomp" not in walls:
        return warn(
            "sandbox", f"{found} only, so it could reach the network and files", "take a kernel with CONFIG_SECCOMP_FILTER"
        )
    if "landlock" not in walls:
        return warn("sandbox", f"{found} only, so it could read files", "take a kernel of 5.13 or later with landlock in lsm=")
    return ok("sandbox", found)


def thermal(root: Path = _ROOT) -> Line:
    """Temperature and throttling."""
    state = read_thermal(root)
    hottest = max(state.celsius.items(), key=lambda zone: zone[1], default=None)
    found = f"{hottest[1]:.1f} °C ({hottest[0]})" if hottest else "no sensor"
    active = [name for name, on in state.throttled.items() if on]
    if not active:
        return ok("thermal", found)
    cooling = "a stronger power supply" if active == ["under_voltage"] else "cooling, or a lower frame rate"
    return warn("thermal", f"{found}, now: {', '.join(active)}", f"give it {cooling}")


def rate(config: ThermalConfig, root: Path = _ROOT) -> Line:
    """Whether heat would lower a camera's rate now, and from which temperature on."""
    if not config.enabled:
        return ok("rate", "never lowered: thermal.enabled is false")
    rules = rules_for(board_model(root), config.limit_c)
    heat = heat_of(read_thermal(root), rules)
    if heat.zone is None and not heat.throttled:
        return ok("rate", "never lowered: no sensor")
    limit = "" if heat.zone is None else f"lowered from {heat.limit_c - rules.margin_c:g} °C of {heat.zone}"
    why = why_hot(heat, rules)
    if why is None:
        return ok("rate", f"full; {limit}")
    found = f"lowered: {'; '.join(word for word in (why, limit) if word)}"
    return warn("rate", found, "give it cooling; thermal.limit_c moves the limit")


def disk(area: str, path: Path, *, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> Line:
    """Room on the file system that ``path`` is on, or will be on."""
    try:
        stat = statvfs(nearest_existing(path))
    except OSError as error:
        return fail(area, f"{path}: {error.strerror or error}", "name another place in the config", ExitCode.OUTPUT)
    free = stat.f_bavail * stat.f_frsize
    found = f"{free / 1e6:,.0f} MB free for {path}"
    if stat.f_flag & os.ST_RDONLY:
        return fail(
            area, f"{path}: the file system is mounted read-only", "mount it writable (a worn SD card?)", ExitCode.OUTPUT
        )
    if free < DISK_FAIL_BYTES:
        return fail(area, found, "delete old files, or name another place in the config", ExitCode.OUTPUT)
    if free < DISK_WARN_BYTES:
        return warn(area, found, "delete old files, or name another place in the config")
    return ok(area, found)


def clock(synced: bool) -> Line:
    """Whether events carry a time that can be believed (``edge.clock.Clock.synced``)."""
    if synced:
        return ok("clock", "synchronised")
    return warn(
        "clock", "not synchronised: events are flagged clock_unsynced", "timedatectl set-ntp true, or look at the network"
    )


def _os_name(root: Path) -> str:
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return " ".join(shlex.split(value))
    return platform.system()
