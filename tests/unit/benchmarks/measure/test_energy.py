"""Joules from trees like those of the boards: an Intel machine, a Jetson, a Raspberry Pi 5."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure.energy import EnergyMeter, find_counters, parse_pmic, read_powers

PMIC = """\
 3V7_WL_SW_A current(0)=0.08978556A
   1V8_SYS_A current(2)=0.17175780A
   VDD_CORE_A current(7)=1.50000000A
   3V7_WL_SW_V volt(8)=3.72259200V
   1V8_SYS_V volt(10)=1.80000000V
   VDD_CORE_V volt(15)=0.80000000V
      EXT5V_V volt(24)=5.15014000V
       BATT_V volt(25)=0.00000000V
"""
"""As ``vcgencmd pmic_read_adc`` prints it on a Raspberry Pi 5, some rails left out and two values rounded."""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def rapl(tree: Path, zone: str, name: str, energy_uj: int) -> Path:
    folder = tree / "class/powercap" / zone
    write(folder / "name", name)
    write(folder / "energy_uj", str(energy_uj))
    write(folder / "max_energy_range_uj", "1000000")
    return folder / "energy_uj"


def test_rapl_counts_and_begins_again(tmp_path: Path) -> None:
    (tmp_path / "class/powercap/intel-rapl").mkdir(parents=True)  # the control type: no counter
    package = rapl(tmp_path, "intel-rapl:0", "package-0", 400_000)
    rapl(tmp_path, "intel-rapl:0:0", "core", 100)
    rapl(tmp_path, "intel-rapl-mmio:0", "package-0", 400_000)  # the same counter by another way
    meter = EnergyMeter(find_counters(tmp_path), lambda: {})
    assert [counter.rail for counter in meter.counters] == ["rapl package-0", "rapl package-0 core"]
    meter.sample(0.0)
    assert meter.joules == {}
    write(package, "900000")
    meter.sample(1.0)
    write(package, "200000")  # 100,000 to the end, 200,000 from the beginning
    meter.sample(2.0)
    assert meter.joules == pytest.approx({"rapl package-0": 0.8, "rapl package-0 core": 0.0})


def test_a_jetsons_rails(tmp_path: Path) -> None:
    monitor = tmp_path / "class/hwmon/hwmon3"
    write(monitor / "name", "ina3221")
    for channel, label, millivolts, milliamperes in ((1, "VDD_IN", 5000, 1200), (2, "VDD_CPU_GPU_CV", 5000, 400)):
        write(monitor / f"in{channel}_label", label)
        write(monitor / f"in{channel}_input", str(millivolts))
        write(monitor / f"curr{channel}_input", str(milliamperes))
    write(monitor / "in4_label", "sum of shunt voltages")  # a label without a current
    write(monitor / "in4_input", "12")
    write(tmp_path / "class/hwmon/hwmon0/name", "cpu_thermal")
    assert read_powers(tmp_path) == pytest.approx({"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 2.0})
    meter = EnergyMeter([], lambda: read_powers(tmp_path))
    meter.sample(10.0)
    write(monitor / "curr1_input", "2400")
    meter.sample(12.0)  # from 6 to 12 W in two seconds
    assert meter.joules == pytest.approx({"VDD_IN": 18.0, "VDD_CPU_GPU_CV": 4.0})


def test_a_pi_5s_rails_need_amperes_and_volts() -> None:
    watts = parse_pmic(PMIC)
    assert set(watts) == {"3V7_WL_SW", "1V8_SYS", "VDD_CORE"}
    assert watts["VDD_CORE"] == pytest.approx(1.2)
    assert parse_pmic('error=1 error_msg="Command not registered"') == {}


class Rails:
    """What the readings give, one after the other; {} is one that failed."""

    def __init__(self, *readings: dict[str, float]) -> None:
        self.meter = EnergyMeter([], iter(readings).__next__)

    def at(self, *seconds: float) -> EnergyMeter:
        for now_s in seconds[:-1]:
            self.meter.sample(now_s)
        self.meter.finish(seconds[-1])
        return self.meter


def test_a_line_goes_across_a_reading_that_failed() -> None:
    two = {"core": 2.0, "ram": 1.0}
    meter = Rails(two, {}, {"core": 4.0, "ram": 1.0}, {"core": 4.0}, two).at(0.0, 1.0, 2.0, 3.0, 4.0)
    assert meter.joules == pytest.approx({"core": 6.0 + 4.0 + 3.0, "ram": 4.0})
    assert meter.lost == set()


def test_the_first_and_the_last_reading_may_fail_too() -> None:
    meter = Rails({}, {"core": 2.0}, {"core": 4.0}, {}).at(10.0, 11.0, 12.0, 13.0)
    assert meter.joules == pytest.approx({"core": 2.0 + 3.0 + 4.0})


@pytest.mark.parametrize("readings", [(1, 0, 1, 1), (0, 0, 1, 1), (1, 1, 0, 0)])
def test_joules_are_not_invented_for_a_long_gap(readings: tuple[int, ...]) -> None:
    """A reading every 6 s; one rail fails for 12 s at a time, the other never does."""
    told = [{"ram": 1.0} | ({"core": 2.0} if there else {}) for there in readings]
    meter = Rails(*told).at(0.0, 6.0, 12.0, 18.0)
    assert meter.joules == pytest.approx({"ram": 18.0})
    assert meter.lost == {"core"}


def test_a_board_that_measures_nothing_has_no_joules(tmp_path: Path) -> None:
    meter = EnergyMeter(find_counters(tmp_path), lambda: read_powers(tmp_path))
    meter.sample(0.0)
    meter.sample(1.0)
    assert meter.joules == {}


def test_a_counter_that_may_not_be_read_is_no_rail(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", "package-0", 1).unlink()
    assert find_counters(tmp_path) == []
