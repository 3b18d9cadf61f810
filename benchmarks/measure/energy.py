"""Joules by rail, where a board measures them.

- x86: RAPL counters of the powercap tree (https://docs.kernel.org/power/powercap/powercap.html); the kernel lets only root read them.
- Jetson: INA3221 monitors in hwmon (https://docs.kernel.org/hwmon/ina3221.html): millivolts times milliamperes of each labelled rail.
- Raspberry Pi 5: ``vcgencmd pmic_read_adc``, amperes and volts of each rail of its power chip.

Counters are exact between two readings; powers are sampled and joined by straight lines (trapezoids), also across a reading that failed.
Rails may lie within each other (VDD_IN holds all of a Jetson, package-0 holds core), so they are never added up.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.record.host import read_number, read_word

GAP_MAX_S = 10.0
"""A rail whose power could not be read for longer has no joules: a line across more than that would be invented."""
_VCGENCMD_TIMEOUT_S = 2.0
_RAIL = re.compile(r"^\s*(?P<rail>\w+)_(?P<kind>[AV])\s+\w+\(\d+\)=(?P<value>[0-9.]+)[AV]\s*$", re.MULTILINE)

ReadText = Callable[[], str]


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """Microjoules that only grow, until they begin at 0 again behind ``wraps_at_uj``."""

    rail: str
    path: Path
    wraps_at_uj: float


def find_counters(sys_tree: Path = Path("/sys")) -> list[EnergyCounter]:
    """The RAPL domains that may be read: "rapl package-0", "rapl package-0 core"; none is often."""
    found = []
    for zone in sorted((sys_tree / "class/powercap").glob("intel-rapl:*")):
        names = [zone / "name"]
        if zone.name.count(":") == 2:
            names.insert(0, zone.parent / zone.name.rpartition(":")[0] / "name")
        label = " ".join(read_word(path) or "?" for path in names)
        wraps_at = read_number(zone / "max_energy_range_uj")
        if wraps_at is not None and read_number(zone / "energy_uj") is not None:
            found.append(EnergyCounter(f"rapl {label}", zone / "energy_uj", wraps_at))
    return found


def read_powers(sys_tree: Path = Path("/sys"), vcgencmd: ReadText | None = None) -> dict[str, float]:
    """Watts by rail at this moment, of an INA3221 or of a Pi 5's power chip; empty where there is neither."""
    found: dict[str, float] = {}
    for monitor in sorted((sys_tree / "class/hwmon").glob("hwmon*")):
        if read_word(monitor / "name") != "ina3221":
            continue
        for label in sorted(monitor.glob("in*_label")):
            channel = label.name.removeprefix("in").removesuffix("_label")
            volts, amperes = read_number(monitor / f"in{channel}_input"), read_number(monitor / f"curr{channel}_input")
            if volts is not None and amperes is not None:
                found[read_word(label) or f"{monitor.name} {channel}"] = volts * amperes / 1e6  # mV × mA
    return found | parse_pmic(vcgencmd() if vcgencmd else "")


def parse_pmic(text: str) -> dict[str, float]:
    """Watts by rail from lines like "VDD_CORE_A current(7)=1.2A" and "VDD_CORE_V volt(15)=0.72V"; a rail needs both."""
    values = {(match["rail"], match["kind"]): float(match["value"]) for match in _RAIL.finditer(text)}
    return {
        rail: amperes * values[rail, "V"] for (rail, kind), amperes in values.items() if kind == "A" and (rail, "V") in values
    }


def find_vcgencmd() -> ReadText | None:
    """Calls it; None where there is none. A board without such a chip answers with an error, which holds no rails."""
    path = shutil.which("vcgencmd")
    if path is None:
        return None

    def read() -> str:
        try:
            done = subprocess.run(
                [path, "pmic_read_adc"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_VCGENCMD_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.decode(errors="replace")

    return read


@dataclass(slots=True)
class EnergyMeter:
    """Adds up what ``sample`` finds; call it at the beginning, about once a second, and at the end, with ``now_s`` on any clock that
    only goes forward. Afterwards ``joules`` holds the rails that were watched all the time, and ``lost`` those of which a reading was
    missing for more than GAP_MAX_S. Before its first reading and after its last one a rail's watts count as at that reading."""

    counters: list[EnergyCounter]
    powers: Callable[[], dict[str, float]]
    joules: dict[str, float] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    _counts: dict[str, float] = field(default_factory=dict)
    _watts: dict[str, tuple[float, float]] = field(default_factory=dict)  # rail → (its last reading, when)
    _begun_s: float | None = None

    def sample(self, now_s: float) -> None:
        """Read everything."""
        for counter in self.counters:
            count = read_number(counter.path)
            if count is None:
                continue
            before = self._counts.get(counter.rail)
            if before is not None:
                grown = count - before if count >= before else count + counter.wraps_at_uj - before
                self.joules[counter.rail] = self.joules.get(counter.rail, 0.0) + grown / 1e6
            self._counts[counter.rail] = count
        if self._begun_s is None:
            self._begun_s = now_s
        for rail, watts in self.powers().items():
            before, at_s = self._watts.get(rail, (watts, self._begun_s))
            self._add(rail, (before + watts) / 2, now_s - at_s)
            self._watts[rail] = watts, now_s

    def finish(self, now_s: float) -> None:
        """The last reading."""
        self.sample(now_s)
        for rail, (watts, at_s) in self._watts.items():
            self._add(rail, watts, now_s - at_s)

    def _add(self, rail: str, watts: float, seconds: float) -> None:
        if seconds > GAP_MAX_S:
            self.lost.add(rail)
            self.joules.pop(rail, None)
        elif rail not in self.lost:
            self.joules[rail] = self.joules.get(rail, 0.0) + watts * seconds
