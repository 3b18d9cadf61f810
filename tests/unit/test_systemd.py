"""The unit file says what the exit codes and the notify protocol say."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.config import load_config
from edge.errors import ExitCode
from edge.service.board import BOARDS
from edge.service.install import UNITS, apply, plan
from edge.sinks import SINKS
from tests.conftest import ROOT

UNIT = ROOT / "systemd" / "shelfcam@.service"


def test_a_person_must_act_means_no_restart() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read(UNIT)
    stay_down = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    assert stay_down == {ExitCode.USAGE, ExitCode.DATA, ExitCode.NO_INPUT, ExitCode.CONFIG}
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Type"] == "notify"


def test_one_camera_does_not_take_the_memory_of_the_whole_machine() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT)
    high, most = (int(unit["Service"][key].removesuffix("%")) for key in ("MemoryHigh", "MemoryMax"))
    assert 0 < high < most < 100


def analyze(*args: object) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, check=False)


@pytest.fixture(params=BOARDS)
def units(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the units as they are installed, but for the command, which is not there."""
    list(apply(plan("/opt/shelfcam", request.param), tmp_path, dry_run=False))
    unit = tmp_path / UNITS / "shelfcam@.service"
    unit.write_text(unit.read_text().replace("/opt/shelfcam/bin/shelfcam", "/bin/true"))
    return unit.parent


def test_systemd_understands_the_units(units: Path) -> None:
    for name in ("shelfcam@.service", "shelfcam-restart@.path", "shelfcam-restart@.service", "shelfcam-restart@reboot.service"):
        done = analyze("verify", "--recursive-errors=no", units / name)
        assert (done.returncode, done.stderr) == (0, ""), name
    unit = units / "shelfcam@.service"
    unit.write_text(unit.read_text() + "\nNoSuchKey=1\n[Service]\nNoSuchKey=1\n")
    assert "NoSuchKey" in analyze("verify", "--recursive-errors=no", unit).stderr, "the check can fail"


def test_the_service_can_do_little_harm(units: Path) -> None:
    """systemd's own score from 0 (safe) to 10; its threshold is in tenths."""
    unit = units / "shelfcam@.service"
    done = analyze("security", "--offline=true", "--threshold=25", unit)
    assert done.returncode == 0, done.stdout[-200:]
    assert analyze("security", "--offline=true", "--threshold=5", unit).returncode != 0, "the check can fail"


def test_the_example_config_is_valid(tmp_path: Path) -> None:
    example = ROOT / "systemd" / "example.toml"
    assert load_config(example).camera.name == "shelf-1"
    lines = [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in example.read_text().splitlines()]
    (tmp_path / "all.toml").write_text("\n".join(lines))
    assert [sink.__struct_config__.tag for sink in load_config(tmp_path / "all.toml").sink] == list(SINKS), (
        "also what is commented out"
    )
