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


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text().replace("/opt/shelfcam/bin/shelfcam", "/bin/true")
    path = tmp_path / "shelfcam@.service"
    path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / "shelfcam@.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path.write_text(text + "\nNoSuchKey=1\n[Service]\nNoSuchKey=1\n")
    broken = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(path)], capture_output=True, text=True, check=False
    )
    assert "NoSuchKey" in broken.stderr, "the check can fail"


def test_the_example_config_is_valid(tmp_path: Path) -> None:
    example = ROOT / "systemd" / "example.toml"
    assert load_config(example).camera.name == "shelf-1"
    lines = [re.sub(r"^# (?=\[\[|\w+ = )", "", line) for line in example.read_text().splitlines()]
    (tmp_path / "all.toml").write_text("\n".join(lines))
    assert [sink.__struct_config__.tag for sink in load_config(tmp_path / "all.toml").sink] == list(SINKS), (
        "also what is commented out"
    )
