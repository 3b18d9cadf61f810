"""A child in the sandbox can compute and answer, and nothing else."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from edge import sandbox
from edge.sandbox import Limits, SandboxError, StoppedError

LIMITS = Limits(seconds=120, cpu_seconds=60, memory_bytes=2_000_000_000)
REFUSED = ("PermissionError", "FileNotFoundError", "OSError")

needs_seccomp = pytest.mark.skipif("seccomp" not in sandbox.walls(), reason="no seccomp filter for this architecture")
needs_landlock = pytest.mark.skipif("landlock" not in sandbox.walls(), reason="this kernel has no Landlock")


def attempt(name: str, *args: object, limits: Limits = LIMITS, **more: object) -> str:
    out = sandbox.run_module("tests.fakes.confined", [name, *map(str, args)], limits=limits, **more)  # type: ignore[arg-type]
    return out.decode().strip()


def test_it_computes_with_threads_and_reads_what_it_is_given(tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("for the child")
    assert attempt("compute", stdin=b"x" * 200_000) == "200100"
    assert attempt("read", given, readable=[given]) == "for the child"
    assert attempt("read", given, readable=[tmp_path]) == "for the child"


@needs_landlock
@pytest.mark.parametrize("place", ["secret", "/etc/passwd", "/etc/hosts"])
def test_it_reads_nothing_else(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_text("the secret")
    path = tmp_path / place
    assert attempt("read", path) in REFUSED


@needs_seccomp
@pytest.mark.parametrize(
    "way",
    [
        *("write", "append", "truncate", "truncate-reading", "openat2", "remove", "rename", "chmod", "link", "touch", "mkdir"),
    ],
)
def test_it_changes_no_file_even_where_it_may_read(tmp_path: Path, way: str) -> None:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    canary.chmod(0o600)
    before = canary.stat()
    assert attempt(way, canary, readable=[tmp_path]) in REFUSED
    after = canary.stat()
    assert canary.read_text() == "untouched"
    assert stat.S_IMODE(after.st_mode) == 0o600
    assert after.st_mtime_ns == before.st_mtime_ns
    assert os.listdir(tmp_path) == ["canary"]


@needs_seccomp
def test_it_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for way in ("connect", "udp", "unix", "io_uring"):
            assert attempt(way, port) in REFUSED, way
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@needs_seccomp
@pytest.mark.parametrize(
    "way",
    [
        *("run", "fork", "kill-parent", "signal-0", "signal-by-pipe", "signal-by-pipe-thread", "choose-signal"),
        *("affinity", "scheduler", "raise-limit", "setrlimit", "shared-memory", "map-shared", "map-stack"),
    ],
)
def test_it_touches_no_other_process_and_no_limit(way: str) -> None:
    assert attempt(way, "-") in REFUSED


@needs_landlock
def test_it_maps_no_device_that_is_memory_without_a_limit() -> None:
    assert attempt("map-zeros", "-") in REFUSED


@pytest.mark.parametrize(
    ("way", "value", "limits", "reason"),
    [
        ("spin", "-", Limits(seconds=600, cpu_seconds=1, memory_bytes=None), "took more than 1 s of CPU time"),
        ("sleep", "-", Limits(seconds=2, cpu_seconds=60, memory_bytes=None), "took longer than 2 s"),
        ("sleep-silent", "-", Limits(seconds=2, cpu_seconds=60, memory_bytes=None), "took longer than 2 s"),
        ("eat", 3_000_000_000, LIMITS, "wanted more than 2,000 MB of memory"),
        ("print", 2_000_000, LIMITS, "answered with more than 1,048,576 bytes"),
        ("crash", "-", LIMITS, "its process was ended by SIGABRT"),
    ],
)
def test_a_limit_ends_it_with_the_reason(way: str, value: object, limits: Limits, reason: str) -> None:
    with pytest.raises(SandboxError) as caught:
        attempt(way, value, limits=limits)
    assert caught.value.reason == reason


@pytest.mark.parametrize("way", ["sleep", "sleep-silent"])
def test_a_child_that_is_not_wanted_any_more_is_ended(way: str) -> None:
    asked = iter(range(20))
    with pytest.raises(StoppedError):
        attempt(way, "-", stopped=lambda: next(asked, 20) == 20)


def test_a_module_that_is_not_there_is_a_reason_and_no_answer() -> None:
    with pytest.raises(SandboxError, match=r"ended with 1: .*No module named"):
        sandbox.run_module("edge.no_such_module", limits=LIMITS)


def test_the_child_gets_no_variable_that_may_hold_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "hunter2hunter2" not in str(sandbox.environment())
    assert sandbox.environment()["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_inside_it(machine: str) -> None:
    lines = sandbox._filter(machine, own_pid=4242)
    for index, (operation, if_true, if_false, _) in enumerate(lines):
        assert 0 <= if_true <= 255
        assert 0 <= if_false <= 255
        if operation in (0x15, 0x35, 0x45):
            assert index + 1 + max(if_true, if_false) < len(lines)
    assert lines[-1] == (0x06, 0, 0, 0x7FFF0000)
