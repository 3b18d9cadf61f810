"""How hot the board is, where it begins to slow itself down and whether it does, from sysfs; on a Pi from its firmware.

Sources: Linux ``Documentation/driver-api/thermal/sysfs-api.rst`` (thermal zones and their trip points, millidegrees); Raspberry Pi
documentation, ``vcgencmd get_throttled`` (bits); NVIDIA Jetson Linux Developer Guide, "Over Current Event Status" (``oc*_event_cnt``).
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PI_FLAGS = {"under_voltage": 0, "frequency_capped": 1, "throttled": 2, "soft_temperature_limit": 3}
"""Bits that hold now; the same shifted by 16: happened since boot."""

_SINCE_BOOT = 16
_PI_SYSFS = "sys/devices/platform/soc/soc:firmware/get_throttled"
_VCGENCMD_TIMEOUT_S = 2.0
_SLOWING = ("cpufreq", "thermal-cpufreq", "Processor", "devfreq")  # cooling devices that work by lowering a clock; not fans
_TRIP_C = (20.0, 150.0)  # drivers write 0 or INT_MIN into a trip point that is switched off
_SLASH = Path("/")


@dataclass(frozen=True, slots=True)
class Thermal:
    """``celsius``: thermal zone → degrees. ``throttled``: cause → whether it slows the board down now. ``happened``: cause →
    whether (Pi) or how often (Jetson) it did since boot. ``limits_c``: thermal zone → degrees from which the kernel slows the board
    down (its lowest passive trip point). Each is empty where the board does not tell.
    """

    celsius: dict[str, float]
    throttled: dict[str, bool]
    happened: dict[str, int]
    limits_c: dict[str, float] = field(default_factory=dict)


def read_thermal(root: Path = _SLASH) -> Thermal:
    """Ask the board under ``root`` (holds sys); a sensor that cannot be read is left out. Never raises."""
    throttled, happened = _cooling(root), _over_current(root)
    bits = _pi_bits(root)
    if bits is not None:
        throttled |= {name: bool(bits >> bit & 1) for name, bit in PI_FLAGS.items()}
        happened |= {name: bits >> (bit + _SINCE_BOOT) & 1 for name, bit in PI_FLAGS.items()}
    celsius, limits_c = _zones(root)
    return Thermal(celsius, throttled, happened, limits_c)


def _zones(root: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Temperatures and limits by zone."""
    celsius: dict[str, float] = {}
    limits_c: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = _number(zone / "temp")
        if millidegrees is not None:
            name = _word(zone / "type") or zone.name
            name = name if name not in celsius else f"{name}-{zone.name}"
            celsius[name] = millidegrees / 1000
            passive = _passive_trips_c(zone)
            if passive:
                limits_c[name] = min(passive)
    return celsius, limits_c


def _passive_trips_c(zone: Path) -> list[float]:
    trips = [trip.name.removesuffix("_type") for trip in zone.glob("trip_point_*_type") if _word(trip) == "passive"]
    found = [(_number(zone / f"{trip}_temp") or 0) / 1000 for trip in trips]
    return [degrees for degrees in found if _TRIP_C[0] <= degrees <= _TRIP_C[1]]


def _cooling(root: Path) -> dict[str, bool]:
    """Whether the kernel holds a clock down, one flag for all devices of a kind."""
    slowed: dict[str, bool] = {}
    for device in (root / "sys/class/thermal").glob("cooling_device*"):
        kind = next((kind for kind in _SLOWING if _word(device / "type").startswith(kind)), None)
        state = _number(device / "cur_state")
        if kind is not None and state is not None:
            slowed[kind.lower()] = slowed.get(kind.lower(), False) or state > 0
    return slowed


def _over_current(root: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    for monitor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _word(monitor / "name") == "soctherm_oc":
            for counter in sorted(monitor.glob("oc*_event_cnt")):
                counts[counter.name.removesuffix("_event_cnt")] = _number(counter) or 0
    return counts


def _pi_bits(root: Path) -> int | None:
    """The firmware's flags: from sysfs, else from vcgencmd, which only this machine itself can be asked by."""
    text = _word(root / _PI_SYSFS)
    if not text and root == _SLASH and shutil.which("vcgencmd"):
        try:
            done = subprocess.run(
                ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=_VCGENCMD_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        text = done.stdout.strip().removeprefix("throttled=0x")
    try:
        return int(text.removeprefix("0x"), 16) if text else None
    except ValueError:
        return None


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    """Some zones answer EAGAIN or EINVAL while their sensor sleeps."""
    try:
        return int(_word(path))
    except ValueError:
        return None
