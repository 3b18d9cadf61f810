"""This machine, for the record: what it is, how hot and how busy. No names, addresses or serial numbers."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record.schema import Conditions, Host
from edge.board import thermal
from edge.choice.keys import cpu_facts

UNKNOWN = "unknown"

FEATURES = (
    "sse4_1", "avx", "avx2", "f16c", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_int8", "amx_bf16", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
"""Instruction sets that inference kernels choose by: x86 "flags" and Arm "Features" of /proc/cpuinfo."""

_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd42": "Cortex-A78AE",
    "0xd05": "Cortex-A55",
}
_CPUS = "sys/devices/system/cpu"
_X86_THROTTLE = f"{_CPUS}/cpu0/thermal_throttle/package_throttle_count"


def machine_name(host: Host) -> str:
    """The board, or, of a machine that does not say what board it is, its CPU."""
    return host.cpu if host.board == UNKNOWN else host.board


def describe_host() -> Host:
    """Board, CPU, features, kernel and governor."""
    facts = cpu_facts()
    flags = set(f"{facts.get('flags', '')} {facts.get('Features', '')}".split())
    return Host(
        board=_first_line("/proc/device-tree/model", "/sys/class/dmi/id/product_name") or UNKNOWN,
        cpu=_cpu_name(facts),
        features=tuple(name for name in FEATURES if name in flags),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        governor=_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or UNKNOWN,
    )


def read_thermal(root: Path = Path("/")) -> dict[str, float]:
    """What the board under ``root`` (holds sys) tells: the hottest zone in °C (``temperature_c``), the mean clock of the CPUs
    (``clock_mhz``), for each cause whether it slows the board down now (``throttled_CAUSE``, 0 or 1), and whether or how often it did
    since the board started (``happened_CAUSE``), as ``edge.board.thermal`` reads them; of an x86 CPU the count of its package."""
    board = thermal.read_thermal(root)
    found: dict[str, float] = {}
    if board.celsius:
        found["temperature_c"] = max(board.celsius.values())
    clocks = [read_number(path) for path in (root / _CPUS).glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    khz = [value for value in clocks if value is not None]
    if khz:
        found["clock_mhz"] = sum(khz) / len(khz) / 1000
    found |= {f"throttled_{cause}": float(active) for cause, active in board.throttled.items()}
    found |= {f"happened_{cause}": float(count) for cause, count in board.happened.items()}
    if (count := read_number(root / _X86_THROTTLE)) is not None:
        found["happened_package_throttle"] = count
    return found


def thermal_change(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Both readings in one mapping, ``…_before`` and ``…_after``."""
    return {f"{key}_before": value for key, value in before.items()} | {f"{key}_after": value for key, value in after.items()}


def process_status(pid: int | str) -> dict[str, str]:
    """Name → value from /proc/PID/status (proc_pid_status(5)); empty where there is no such process, or no /proc."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(line.partition(":")[::2] for line in text.splitlines())


def process_memory(pid: int | str) -> tuple[int, int] | None:
    """(resident now, resident at its highest) of a process in bytes (VmRSS, VmHWM); None when it is gone."""
    fields = process_status(pid)
    if not {"VmRSS", "VmHWM"} <= fields.keys():
        return None
    resident, peak = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return resident, peak


def read_memory() -> tuple[int, int]:
    """``process_memory`` of this process; zeros where the system does not tell."""
    return process_memory("self") or (0, 0)


def memory_left() -> int | None:
    """Bytes that a new process can have without swapping (MemAvailable of proc_meminfo(5)); None where the system does not tell."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None


@dataclass(frozen=True, slots=True)
class Busyness:
    """Counters of CPU seconds, in sum over all CPUs, at one moment; ``own_s``: this process and its children that ended."""

    load: float
    busy_s: float
    steal_s: float
    total_s: float
    own_s: float


def read_busyness() -> Busyness:
    """From /proc/stat (proc_stat(5)) and times(2); zeros where there is no /proc."""
    times = os.times()
    line = _first_line("/proc/stat") or "cpu 0 0 0 0 0 0 0 0"
    user, nice, system, idle, iowait, irq, softirq, steal = (
        int(field) / os.sysconf("SC_CLK_TCK") for field in line.split()[1:9]
    )
    busy = user + nice + system + irq + softirq
    own = times.user + times.system + times.children_user + times.children_system
    return Busyness(os.getloadavg()[0], busy, steal, busy + idle + iowait + steal, own)


def conditions_between(before: Busyness, after: Busyness) -> Conditions:
    """What other processes and other machines took between two moments; no child may be running at either."""
    total = max(after.total_s - before.total_s, 1e-9)
    others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return Conditions(
        load_before=before.load,
        load_after=after.load,
        others_share=min(1.0, max(0.0, others / total)),
        steal_share=min(1.0, max(0.0, (after.steal_s - before.steal_s) / total)),
    )


def sum_conditions(parts: Sequence[tuple[float, Conditions]]) -> Conditions:
    """Of several spans, each (seconds, conditions), in order: the shares weighted by time. Raises ValueError without a span."""
    if not parts:
        raise ValueError("no span of time")
    total = max(sum(seconds for seconds, _ in parts), 1e-9)
    return Conditions(
        load_before=parts[0][1].load_before,
        load_after=parts[-1][1].load_after,
        others_share=sum(seconds * c.others_share for seconds, c in parts) / total,
        steal_share=sum(seconds * c.steal_share for seconds, c in parts) / total,
    )


def _cpu_name(facts: dict[str, str]) -> str:
    if "model name" in facts:
        return facts["model name"]
    part = facts.get("CPU part")
    return _ARM_PARTS.get(part, f"Arm part {part}") if part else facts.get("machine", UNKNOWN)


def _first_line(*paths: str) -> str | None:
    """The first line of the first of these files that can be read and is not empty."""
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        line = text.strip("\0\n ").partition("\n")[0]
        if line:
            return line
    return None


def read_word(path: Path) -> str | None:
    """The first line of a file of /sys; None where it cannot be read or is empty."""
    return _first_line(str(path))


def read_number(path: Path) -> float | None:
    """The number in a file of /sys; None where there is none."""
    line = _first_line(str(path))
    try:
        return float(line) if line is not None else None
    except ValueError:
        return None
