"""What ``shelfcam install`` puts where, twice, in a directory and as a command."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.board.boards import board_kind, board_model
from edge.cli import main
from edge.commands.install import next_steps
from edge.errors import ExitCode, UsageError
from edge.service.install import EXAMPLE, UNITS, apply, plan
from tests.conftest import ROOT

FILES = {path.name for path in (ROOT / "systemd").iterdir() if path.is_file()}


def shelfcam(*args: object, **kwargs) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "install", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **kwargs)


def test_every_part_of_the_project_is_placed_and_runs_from_the_prefix(tmp_path: Path) -> None:
    done = list(apply(plan("/srv/cam", "pi"), tmp_path, dry_run=False))
    assert {change.action for change in done} == {"made"}
    assert len(done) == len(FILES) + 1, "one drop-in of a board besides"
    unit = tmp_path / UNITS / "shelfcam@.service"
    assert "\nExecStart=/srv/cam/bin/shelfcam run --config /etc/shelfcam/%i.toml\n" in unit.read_text()
    assert "/opt/shelfcam" not in unit.read_text()
    assert "char-dma_heap" in (tmp_path / UNITS / "shelfcam@.service.d" / "20-board.conf").read_text()
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in tmp_path.rglob("*") if path.is_file())


def test_a_second_run_changes_nothing_and_a_config_is_never_touched(tmp_path: Path) -> None:
    list(apply(plan("/srv/cam", "jetson"), tmp_path, dry_run=False))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert {change.action for change in apply(plan("/srv/cam", "jetson"), tmp_path, dry_run=False)} == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (tmp_path / EXAMPLE).write_text("mine")
    (tmp_path / UNITS / "shelfcam-restart@.socket").write_text("old")
    changed = {Path(c.what).name: c.action for c in apply(plan("/srv/cam", "other"), tmp_path, dry_run=False)}
    assert changed["example.toml"] == "kept"
    assert changed["shelfcam-restart@.socket"] == "replaced"
    assert changed["20-board.conf"] == "removed"
    assert (tmp_path / EXAMPLE).read_text() == "mine"
    assert not (tmp_path / UNITS / "shelfcam@.service.d" / "20-board.conf").exists()


@pytest.mark.parametrize("prefix", ["/home/me/venv", "/root/v", "/tmp/v", "venv"])
def test_a_place_that_the_unit_hides_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="cannot run from there"):
        plan(prefix, "other")


def test_the_command_into_an_image(tmp_path: Path) -> None:
    dry = json.loads(shelfcam("--root", tmp_path, "--board", "jetson", "--dry-run", "--json").stdout)
    assert list(tmp_path.iterdir()) == [], "a dry run makes nothing"
    said = shelfcam("--root", tmp_path, "--board", "jetson", "--dry-run").stdout
    assert "would make" in said
    assert "made " not in said
    real = json.loads(shelfcam("--root", tmp_path, "--board", "jetson", "--json").stdout)
    assert real["changes"] == dry["changes"]
    user = real["changes"][-1]
    assert user["what"] == f"systemd-sysusers --root={tmp_path} shelfcam.conf"
    if user["action"] == "run":  # as root, where systemd is installed
        assert "\nshelfcam:" in f"\n{(tmp_path / 'etc' / 'passwd').read_text()}"
    assert "\nExecStart=/opt/shelfcam/bin/shelfcam " in (tmp_path / UNITS / "shelfcam@.service").read_text()
    assert any("nvargus-daemon" in step for step in real["next"])
    assert not any("nvargus-daemon" in step for step in next_steps("pi"))


def test_this_machine_needs_root_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["install"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "needs root" in told
    assert "fix: sudo " in told


def test_boards_by_what_the_firmware_says(tmp_path: Path) -> None:
    tree = tmp_path / "pi" / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (tree / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tree / "compatible").write_bytes(b"raspberrypi,5-model-b\0brcm,bcm2712\0")
    assert (board_kind(tmp_path / "pi"), board_model(tmp_path / "pi")) == ("pi", "Raspberry Pi 5 Model B Rev 1.0")
    tree = tmp_path / "orin" / "sys" / "firmware" / "devicetree" / "base"
    tree.mkdir(parents=True)
    (tree / "model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    (tree / "compatible").write_bytes(b"nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0")
    assert board_kind(tmp_path / "orin") == "jetson"
    dmi = tmp_path / "pc" / "sys" / "class" / "dmi" / "id"
    dmi.mkdir(parents=True)
    (dmi / "sys_vendor").write_text("Maker\n")
    (dmi / "product_name").write_text("Box 3\n")
    assert (board_kind(tmp_path / "pc"), board_model(tmp_path / "pc")) == ("other", "Maker Box 3")
    assert board_model(tmp_path) == "unknown"


def test_the_user_is_in_the_group_of_the_camera_devices() -> None:
    text = (ROOT / "systemd" / "shelfcam.sysusers").read_text()
    assert "\nm shelfcam video\n" in text
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str
    unit.read(ROOT / "systemd" / "shelfcam@.service")
    assert (unit["Service"]["User"], unit["Service"]["SupplementaryGroups"]) == ("shelfcam", "video")
