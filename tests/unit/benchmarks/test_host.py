"""The description of a machine: complete, and without anything that names it."""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec
import pytest

from benchmarks import host
from benchmarks.host import Busyness, conditions_between, describe_host, read_busyness, read_thermal, thermal_change


def test_this_machine_has_every_key_and_no_name() -> None:
    text = msgspec.json.encode(describe_host()).decode()
    assert set(msgspec.json.decode(text)) == {"board", "cpu", "features", "kernel", "governor"}
    assert all(msgspec.json.decode(text)[key] for key in ("board", "cpu", "kernel", "governor"))
    node = platform.node()
    assert len(node) < 6 or node not in text


def test_a_pi_is_described_by_its_device_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    }
    facts = {"machine": "aarch64", "CPU part": "0xd0b", "Features": "asimd asimddp crc32 fp"}
    monkeypatch.setattr(host, "cpu_facts", lambda: facts)
    monkeypatch.setattr(Path, "read_text", lambda self, **_: files[str(self)])
    found = describe_host()
    assert (found.board, found.cpu, found.governor) == ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76", "ondemand")
    assert found.features == ("asimd", "asimddp")


def test_a_machine_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: Path, **_: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", unreadable)
    found = describe_host()
    assert (found.board, found.governor, found.features) == ("unknown", "unknown", ())
    assert found.cpu == platform.machine()
    assert read_busyness().total_s == 0


def test_what_others_took() -> None:
    before = Busyness(load=0.5, busy_s=100.0, steal_s=5.0, total_s=1000.0, own_s=10.0)
    after = Busyness(load=1.5, busy_s=160.0, steal_s=10.0, total_s=1100.0, own_s=50.0)
    found = conditions_between(before, after)
    assert (found.load_before, found.load_after) == (0.5, 1.5)
    assert (found.others_share, found.steal_share) == pytest.approx((0.2, 0.05))
    nothing = conditions_between(before, before)
    assert (nothing.others_share, nothing.steal_share) == (0.0, 0.0)


def test_thermal_readings_are_told_apart() -> None:
    assert thermal_change({"temperature_c": 40.0}, {"temperature_c": 60.0, "throttled": 4.0}) == {
        "temperature_c_before": 40.0,
        "temperature_c_after": 60.0,
        "throttled_after": 4.0,
    }
    assert set(read_thermal()) <= {"temperature_c", "clock_mhz", "throttled"}
