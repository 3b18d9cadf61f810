"""A process that dies says by what it left behind whether it was inside a model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.backends.base import RuntimeInfo
from edge.choice.runtime_watch import HEALTHY_AFTER_S, RuntimeMark, WatchedBackend
from tests.conftest import ROOT

KEY, OTHER = "a" * 64, "b" * 64
_DIES = """
import sys
from pathlib import Path
from edge.choice.runtime_watch import RuntimeMark
mark = RuntimeMark(Path(sys.argv[1]), boot="now")
with mark.inside("loading", "b" * 64):
    pass
with mark.inside("running", "b" * 64):
    pass
def wait():
    print("here", flush=True)
    sys.stdin.read()
if sys.argv[2] == "outside":
    wait()
with mark.inside(sys.argv[2], "a" * 64):
    wait()
"""


def killed(path: Path, where: str) -> None:
    """A process that is killed inside a call of a model, or outside."""
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", _DIES, str(path), where], stdin=pipe, stdout=pipe, cwd=ROOT)
    assert child.stdout is not None
    assert child.stdout.readline() == b"here\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()


@pytest.mark.parametrize(("where", "keys"), [("running", (KEY,)), ("loading", (KEY,)), ("outside", ())])
def test_where_a_process_was_killed(tmp_path: Path, where: str, keys: tuple[str, ...]) -> None:
    path = tmp_path / "state" / "mark"
    killed(path, where)
    mark = RuntimeMark(path, boot="now")
    assert mark.died_in == keys
    assert RuntimeMark(path, boot="now").died_in == (), "told once"


def test_a_mark_that_is_a_pipe_or_a_link_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    os.mkfifo(path)
    assert RuntimeMark(path, boot="now").died_in == ()
    killed(tmp_path / "other", "running")
    path.unlink()
    path.symlink_to(tmp_path / "other")
    assert RuntimeMark(path, boot="now").died_in == ()


@pytest.mark.parametrize("boot", ["another", ""])
def test_after_a_power_cut_nothing_is_known(tmp_path: Path, boot: str) -> None:
    killed(tmp_path / "mark", "running")
    assert RuntimeMark(tmp_path / "mark", boot=boot).died_in == ()


def test_an_end_in_order_leaves_nothing(tmp_path: Path) -> None:
    mark = RuntimeMark(tmp_path / "mark", boot="now")
    with pytest.raises(RuntimeError), mark.inside("running", KEY):
        raise RuntimeError("the runtime's own error")
    assert RuntimeMark(tmp_path / "mark", boot="now").died_in == ()
    mark.close()
    mark.close()
    assert not (tmp_path / "mark").exists()


def test_two_calls_at_once_are_told_apart(tmp_path: Path) -> None:
    """A thread loads the fastest candidate while the loop runs the safe one."""
    mark = RuntimeMark(tmp_path / "mark", boot="now")
    with mark.inside("running", KEY):
        with mark.inside("loading", OTHER):
            content = (tmp_path / "mark").read_bytes()
        assert (tmp_path / "mark").read_bytes()[:2] == b"01"
    (tmp_path / "mark").write_bytes(content)
    assert RuntimeMark(tmp_path / "mark", boot="now").died_in == (OTHER, KEY)


@pytest.mark.parametrize(
    "content", [b"", b"11", b"11{", b"\xff" * 600, b'11{"boot": 1}', b'11{"boot": "now", "running": "../x"}']
)
def test_a_damaged_mark_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mark").write_bytes(content)
    mark = RuntimeMark(tmp_path / "mark", boot="now")
    assert mark.died_in == ()
    with mark.inside("running", KEY):
        pass


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("untouched")
    (tmp_path / "mark").symlink_to(tmp_path / "precious")
    with RuntimeMark(tmp_path / "mark", boot="now").inside("running", KEY):
        pass
    assert (tmp_path / "precious").read_text() == "untouched"


def test_where_nothing_can_be_written_nothing_is_marked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mark" / "in_the_way").mkdir(parents=True)
    mark = RuntimeMark(tmp_path / "mark", boot="now")
    assert "cannot be written" in caplog.text
    with mark.inside("running", KEY):
        pass
    mark.close()


class Answers:
    info = RuntimeInfo("fake", "1", "CPU", 1, {})
    marks: list[bytes]

    def __init__(self, path: Path) -> None:
        self._path, self.marks = path, []

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        self.marks.append(self._path.read_bytes()[:2])
        return (batch,)

    def close(self) -> None:
        self.marks.append(b"closed")


def test_a_model_is_marked_until_it_has_run_well(tmp_path: Path) -> None:
    backend, told, now = Answers(tmp_path / "mark"), [], [0.0]
    mark = RuntimeMark(tmp_path / "mark", boot="now")
    watched = WatchedBackend(
        backend, mark, KEY, ran=lambda: told.append("ran"), lived=lambda: told.append("lived"), now_s=lambda: now[0]
    )
    batch = np.zeros(1)
    for second in (0.0, 1.0, HEALTHY_AFTER_S + 1, HEALTHY_AFTER_S + 2):
        now[0] = second
        assert watched.run(batch)[0] is batch
    assert backend.marks == [b"01", b"01", b"01", b"00"]
    assert told == ["ran", "lived"]
    watched.close()
    assert backend.marks[-1] == b"closed"


def test_one_of_the_package_is_not_marked(tmp_path: Path) -> None:
    backend = Answers(tmp_path / "mark")
    mark = RuntimeMark(tmp_path / "mark", boot="now")
    WatchedBackend(backend, mark, None, ran=lambda: None, lived=lambda: None).run(np.zeros(1))
    assert backend.marks == [b"00"]
