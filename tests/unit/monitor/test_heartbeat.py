"""Only frames that went through the spine feed the watchdog."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge.data import NoFrame, NoFrameReason
from edge.monitor.heartbeat import Heartbeat
from tests.fakes.events import FakeClock, frame


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "4000000")
        yield channel


def heard(channel: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(channel.recv(100).decode())
        except BlockingIOError:
            return messages


def test_ready_with_the_first_frame_and_fed_at_a_quarter_of_the_period(systemd: socket.socket) -> None:
    clock = FakeClock()
    heartbeat = Heartbeat(clock)
    heartbeat.beat(NoFrame(NoFrameReason.TIMEOUT, "", 0))
    assert heard(systemd) == [], "silence is neither ready nor alive"
    heartbeat.beat(frame())
    assert heard(systemd) == ["READY=1", "WATCHDOG=1"]
    clock.now_ns = 999_999_999
    heartbeat.beat(frame())
    assert heard(systemd) == []
    clock.now_ns = 1_000_000_000
    heartbeat.beat(frame())
    assert heard(systemd) == ["WATCHDOG=1"]
    clock.now_ns = 60_000_000_000
    heartbeat.beat(NoFrame(NoFrameReason.TIMEOUT, "", 0))
    assert heard(systemd) == [], "a silent camera starves the watchdog"
    heartbeat.stopping()
    assert heard(systemd) == ["STOPPING=1"]
    assert heartbeat.frames == 3


def test_a_notify_socket_that_is_gone_does_not_stop_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("WATCHDOG_USEC", "nonsense")
    heartbeat = Heartbeat(FakeClock())
    heartbeat.beat(frame())
    heartbeat.stopping()
    assert caplog.text.count("cannot be notified") == 1


def test_outside_systemd_it_only_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat = Heartbeat(FakeClock())
    heartbeat.beat(frame())
    heartbeat.stopping()
    assert heartbeat.frames == 1


def test_a_bounded_step_extends_the_time_once_and_the_next_frame_takes_it_back(systemd: socket.socket) -> None:
    heartbeat = Heartbeat(FakeClock())
    heartbeat.extend(90)
    assert heard(systemd) == ["EXTEND_TIMEOUT_USEC=90000000"], "until READY it is the start that has a limit"
    heartbeat.beat(frame())
    heard(systemd)
    heartbeat.extend(90)
    assert heard(systemd) == ["WATCHDOG_USEC=90000000\nWATCHDOG=1"]
    heartbeat.beat(frame())
    assert heard(systemd) == ["WATCHDOG_USEC=4000000"]
    heartbeat.extend(1)
    assert heard(systemd) == ["WATCHDOG_USEC=4000000\nWATCHDOG=1"], "never shorter than the unit says"
