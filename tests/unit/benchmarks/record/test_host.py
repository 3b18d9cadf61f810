"""The description of a machine: complete, and without anything that names it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.record import host
from benchmarks.record.host import Busyness, conditions_between, describe_host, read_busyness, read_thermal, thermal_change


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
    assert thermal_change({"temperature_c": 40.0}, {"temperature_c": 60.0, "throttled_cpufreq": 1.0}) == {
        "temperature_c_before": 40.0,
        "temperature_c_after": 60.0,
        "throttled_cpufreq_after": 1.0,
    }
    assert all(name.startswith(("temperature_c", "clock_mhz", "throttled_", "happened_")) for name in read_thermal())


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_a_jetson_that_slows_down(tmp_path: Path) -> None:
    board = put(
        tmp_path,
        {
            "class/thermal/thermal_zone0/type": "cpu-thermal",
            "class/thermal/thermal_zone0/temp": "45000",
            "class/thermal/thermal_zone1/type": "tj-thermal",
            "class/thermal/thermal_zone1/temp": "98500",
            "class/thermal/cooling_device0/type": "cpufreq-cpu0",
            "class/thermal/cooling_device0/cur_state": "1",
            "class/hwmon/hwmon3/name": "soctherm_oc",
            "class/hwmon/hwmon3/oc1_event_cnt": "4",
            "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000",
            "devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "729600",
        },
    )
    assert read_thermal(board) == pytest.approx(
        {"temperature_c": 98.5, "clock_mhz": 1114.8, "throttled_cpufreq": 1.0, "happened_oc1": 4.0}
    )


def test_a_pi_whose_flags_are_in_sysfs(tmp_path: Path) -> None:
    found = read_thermal(put(tmp_path, {"devices/platform/soc/soc:firmware/get_throttled": "50005"}))
    assert {name for name, value in found.items() if value} == {
        "throttled_under_voltage", "throttled_throttled", "happened_under_voltage", "happened_throttled",
    }  # fmt: skip
    assert len(found) == 8


@pytest.mark.skipif(Path("/sys/devices/platform/soc/soc:firmware/get_throttled").exists(), reason="this board's kernel tells")
def test_a_pi_whose_flags_only_its_firmware_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pi 5 has them not in sysfs: a vcgencmd in a folder of the test answers."""
    tool = tmp_path / "vcgencmd"
    tool.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x80008\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = read_thermal()
    assert (found["throttled_soft_temperature_limit"], found["happened_soft_temperature_limit"]) == (1.0, 1.0)
    assert (found["throttled_under_voltage"], found["happened_under_voltage"]) == (0.0, 0.0)


def test_an_x86_package_counts(tmp_path: Path) -> None:
    assert read_thermal(put(tmp_path, {"devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "7"})) == {
        "happened_package_throttle": 7.0
    }


def test_memory_of_a_process_until_it_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        memory = host.process_memory(child.pid)
        assert memory is not None
        assert 0 < memory[0] <= memory[1]
    finally:
        child.kill()
        child.communicate()
    assert host.process_memory(child.pid) is None
    assert host.read_memory()[0] > 1_000_000
