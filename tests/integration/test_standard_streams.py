"""Standard output and error that are full, closed, or read by nobody, in an empty environment: an exit code, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fakes.patience import patience_s

NOWHERE = ROOT / "systemd" / "example.toml"
COMMANDS = {
    "help": ("--help",),
    "help of a command": ("run", "--help"),
    "version": ("--version",),
    "check": ("check", NOWHERE),
    "check as JSON": ("check", NOWHERE, "--json"),
    "cameras as JSON": ("cameras", "--json"),
    "install as JSON": ("install", "--root", "/nonexistent", "--board", "pi", "--dry-run", "--json"),
    "inspect": ("bundle", "inspect", ROOT / "edge/assets/grocery"),
    "inspect as JSON": ("bundle", "inspect", ROOT / "edge/assets/grocery", "--json"),
    "verify": ("bundle", "verify", ROOT / "edge/assets/grocery"),
}
UNBUFFERED = pytest.mark.parametrize("unbuffered", [False, True], ids=["buffered", "unbuffered"])


def environment(unbuffered: bool, **more: str) -> dict[str, str]:
    """Nothing but what finds the project."""
    return {"PYTHONPATH": str(ROOT), **({"PYTHONUNBUFFERED": "1"} if unbuffered else {}), **more}


def shelfcam(*args: object, redirect: str = "", unbuffered: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
    """Run by a shell with this redirection."""
    line = f'exec "$0" -m edge.cli "$@" {redirect}'
    command = ["/bin/sh", "-c", line, sys.executable, *map(str, args)]
    return subprocess.run(
        command, env=environment(unbuffered, **more), capture_output=True, text=True, check=False, timeout=patience_s()
    )


@UNBUFFERED
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_output_is_exit_74_with_the_reason(name: str, unbuffered: bool) -> None:
    done = shelfcam(*COMMANDS[name], redirect=">/dev/full", unbuffered=unbuffered)
    assert (done.returncode, done.stderr) == (74, "shelfcam: standard output: No space left on device\n")


@UNBUFFERED
@pytest.mark.parametrize("name", ["help", "version", "check", "inspect as JSON"])
def test_a_closed_output_is_exit_74_with_the_reason(name: str, unbuffered: bool) -> None:
    done = shelfcam(*COMMANDS[name], redirect=">&-", unbuffered=unbuffered)
    assert (done.returncode, done.stderr) == (74, "shelfcam: standard output: Bad file descriptor\n")


@UNBUFFERED
@pytest.mark.parametrize("name", ["help", "version", "inspect", "inspect as JSON"])
def test_a_reader_that_left_is_exit_74_without_a_word(name: str, unbuffered: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "edge.cli", *map(str, COMMANDS[name])]
    env = environment(unbuffered)
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, env=env, check=False, timeout=patience_s()
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (74, "")


@UNBUFFERED
@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-", "0<&- 2>&-"])
def test_an_error_stream_that_takes_nothing_changes_no_exit_code(redirect: str, unbuffered: bool) -> None:
    assert shelfcam("check", NOWHERE, redirect=redirect, unbuffered=unbuffered).returncode == 0
    assert shelfcam("--nonsense", redirect=redirect, unbuffered=unbuffered).returncode == 64
    assert shelfcam("--version", redirect=f">/dev/full {redirect}", unbuffered=unbuffered).returncode == 74


def test_a_run_without_standard_streams_keeps_them_out_of_its_files(tmp_path: Path) -> None:
    """A database that is opened as number 1 or 2 would be printed into."""
    out = tmp_path / "events.jsonl"
    run = ("run", "--source", "synthetic:fps=0", "--frames", 3, "--show", "--events", out, "--json")
    done = shelfcam(*run, redirect="<&- >&- 2>&-", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 74
    assert out.read_text().count('"observation"') == 3, "the report could not be printed; the events are there all the same"
    again = shelfcam("run", "--source", "synthetic:fps=0", "--frames", 3, "--events", out, XDG_STATE_HOME=str(tmp_path))
    assert again.returncode == 0, again.stderr


@UNBUFFERED
def test_events_for_a_full_output_are_exit_74(tmp_path: Path, unbuffered: bool) -> None:
    run = ("run", "--source", "synthetic:fps=0", "--frames", 3)
    done = shelfcam(*run, redirect=">/dev/full", unbuffered=unbuffered, XDG_STATE_HOME=str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (74, False), done.stderr
