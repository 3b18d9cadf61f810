"""The unit file says what the exit codes and the notify protocol say."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.board.boards import BOARDS
from edge.config import load_config
from edge.errors import ExitCode
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
    for name in (
        "shelfcam@.service",
        "shelfcam-restart@.socket",
        "shelfcam-restart@.service",
        "shelfcam-restart@reboot.service",
    ):
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


@pytest.mark.parametrize("name", ["shelfcam-restart@.service", "shelfcam-restart@reboot.service"])
def test_what_root_does_for_a_camera_can_do_little_harm(units: Path, name: str) -> None:
    unit = units / name
    done = analyze("security", "--offline=true", "--threshold=15", unit)
    assert done.returncode == 0, done.stdout[-200:]
    assert analyze("security", "--offline=true", "--threshold=5", unit).returncode != 0, "the check can fail"


def test_what_root_does_for_a_camera_has_no_message_to_parse_and_a_limited_rate() -> None:
    """The name of a socket is the request, its directory is root's, and a service that is refused never ends the listening."""
    sockets = read(ROOT / "systemd" / "shelfcam-restart@.socket")["Socket"]
    assert sockets["ListenFIFO"] == "/run/shelfcam-restart/%i"
    assert (sockets["SocketUser"], sockets["SocketGroup"], sockets["SocketMode"]) == ("root", "shelfcam", "0620")
    assert sockets["DirectoryMode"] == "0755"
    assert "d /run/shelfcam-restart 0755 root root -" in (ROOT / "systemd" / "shelfcam.tmpfiles").read_text()
    for name, pause_s in (("shelfcam-restart@.service", 300), ("shelfcam-restart@reboot.service", 60)):
        unit = read(ROOT / "systemd" / name)
        assert unit["Unit"]["StartLimitIntervalSec"] == "0"
        service = unit["Service"]
        assert service["ExecStart"].startswith("-"), "a failure is followed by the pause as well"
        assert service["ExecStartPost"] == f"/bin/sleep {pause_s}"
        assert (service["CapabilityBoundingSet"], service["RestrictAddressFamilies"]) == ("", "AF_UNIX")
        assert "shelfcam-restart" not in service["ExecStartPre"], "nothing is done by a path that others could exchange"
    assert "-ge 600" in read(ROOT / "systemd" / "shelfcam-restart@reboot.service")["Service"]["ExecStart"]


def read(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(path)
    return unit


def test_the_example_config_is_valid(tmp_path: Path) -> None:
    example = ROOT / "systemd" / "example.toml"
    assert load_config(example).camera.name == "shelf-1"
    lines = [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in example.read_text().splitlines()]
    (tmp_path / "all.toml").write_text("\n".join(lines))
    assert [sink.__struct_config__.tag for sink in load_config(tmp_path / "all.toml").sink] == list(SINKS), (
        "also what is commented out"
    )
