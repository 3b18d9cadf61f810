"""Requests to root: a byte into a pipe of a unit's name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edge.service.requests import REBOOT, ask_restart


@contextmanager
def served(place: Path, unit: str) -> Iterator[int]:
    """The reading end, as systemd has it."""
    os.mkfifo(place / unit)
    handle = os.open(place / unit, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield handle
    finally:
        os.close(handle)


def test_a_request_is_a_byte_that_says_nothing(tmp_path: Path) -> None:
    with served(tmp_path, "nvargus-daemon") as daemon, served(tmp_path, REBOOT) as reboot:
        assert ask_restart("nvargus-daemon", tmp_path)
        assert ask_restart("nvargus-daemon", tmp_path)
        assert ask_restart(REBOOT, tmp_path)
        assert (os.read(daemon, 99), os.read(reboot, 99)) == (b"11", b"1")


def test_a_request_that_nobody_reads_yet_is_made_and_never_waits(tmp_path: Path) -> None:
    with served(tmp_path, "nvargus-daemon") as daemon:
        with suppress(BlockingIOError):  # until it is full
            while True:
                os.write(daemon, bytes(4096))
        assert ask_restart("nvargus-daemon", tmp_path)


@pytest.mark.parametrize("kind", ["missing", "no directory", "file", "directory", "link", "link to nowhere", "not served"])
def test_where_nobody_serves_requests_the_reason_is_logged(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path, victim = tmp_path / "nvargus-daemon", tmp_path / "victim"
    victim.write_text("somebody's own")
    if kind == "file":
        path.write_text("")
    elif kind == "directory":
        path.mkdir()
    elif kind.startswith("link"):
        path.symlink_to("/nonexistent" if "nowhere" in kind else victim)
    elif kind == "not served":
        os.mkfifo(path)
    assert not ask_restart("nvargus-daemon", tmp_path / "none" if kind == "no directory" else tmp_path)
    assert "shelfcam install" in caplog.text
    assert "shelfcam-restart@nvargus-daemon.socket" in caplog.text
    assert victim.read_text() == "somebody's own"
    assert kind != "file" or path.read_text() == ""


@pytest.mark.parametrize("unit", ["x" * 300, "a\0b"])
def test_a_name_that_no_pipe_can_have_is_logged(tmp_path: Path, unit: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not ask_restart(unit, tmp_path)
    assert "cannot be asked for" in caplog.text
