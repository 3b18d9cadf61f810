"""Requests to root: a message to a socket of a unit's name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edge.service.requests import REBOOT, ask_restart


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose sockets' names are short enough."""
    monkeypatch.chdir(tmp_path)
    return Path()


def served(place: Path, unit: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(place / unit))
    server.settimeout(60)
    return server


def test_a_request_is_a_message_that_says_nothing(place: Path) -> None:
    with served(place, "nvargus-daemon") as daemon, served(place, REBOOT) as reboot:
        assert ask_restart("nvargus-daemon", place)
        assert ask_restart("nvargus-daemon", place)
        assert ask_restart(REBOOT, place)
        assert [daemon.recv(99), daemon.recv(99), reboot.recv(99)] == [b"1"] * 3


def test_a_request_that_nobody_reads_yet_is_made_and_never_waits(place: Path) -> None:
    with served(place, "nvargus-daemon"):
        assert all(ask_restart("nvargus-daemon", place) for _ in range(2_000))


@pytest.mark.parametrize("kind", ["missing", "no directory", "file", "directory", "link to nowhere", "pipe", "left over"])
def test_where_nobody_serves_requests_the_reason_is_logged(place: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path = place / "nvargus-daemon"
    if kind == "file":
        path.write_text("")
    elif kind == "directory":
        path.mkdir()
    elif kind == "link to nowhere":
        path.symlink_to("/nonexistent")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "left over":
        served(place, "nvargus-daemon").close()
    assert not ask_restart("nvargus-daemon", place / "none" if kind == "no directory" else place)
    assert "shelfcam install" in caplog.text
    assert "shelfcam-restart@nvargus-daemon.socket" in caplog.text


@pytest.mark.parametrize("unit", ["x" * 300, "a\0b"])
def test_a_name_that_no_socket_can_have_is_logged(place: Path, unit: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not ask_restart(unit, place)
    assert "cannot be asked for" in caplog.text
