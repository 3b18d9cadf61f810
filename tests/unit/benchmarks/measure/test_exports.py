"""``shelfcam export`` as a child: how it ends, what is said of that, and that it does not outlive who asked for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.measure.exports import ExportRun, run_export
from edge.errors import BackendError, ExitCode
from tests.fakes.patience import patience_s, wait_until

ROOT = Path(__file__).parents[4]
WAIT_S = 3600.0


def test_a_child_tells_its_exit_code_time_and_memory() -> None:
    ran = run_export(["--no-such-option"], timeout_s=patience_s())
    assert ran.exit_code == ExitCode.USAGE
    assert "no-such-option" in ran.error
    assert ran.seconds > 0
    assert ran.peak_bytes > 1_000_000
    with pytest.raises(BackendError, match="longer"):
        run_export(["--help"], timeout_s=0.01)


@pytest.mark.parametrize(
    ("exit_code", "said", "error"),
    [
        (65, "a warning\nshelfcam: a.onnx: too\n  large\n  fix: give it time", "a.onnx: too large"),
        (1, "Traceback (most recent call last):\n  File x\nRuntimeError: no kernel\n\n", "RuntimeError: no kernel"),
        (-9, "INFO: a delegate was made\n", "killed, perhaps because memory ran out"),
        (-11, " \n", "exit code -11"),
    ],
)
def test_why_an_export_ended(exit_code: int, said: str, error: str) -> None:
    assert ExportRun(exit_code, 1.0, 1.0, 1, said).error == error


def test_an_export_does_not_outlive_who_asked_for_it(tmp_path: Path) -> None:
    """Real processes: a network whose module never ends importing, and a parent that is killed meanwhile."""
    pytest.importorskip("torch")
    (tmp_path / "endless.py").write_text("import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(f'{{os.getpid()}}.')\ntime.sleep({WAIT_S})\n")  # fmt: skip
    words = [
        "endless:network",
        "--random-weights",
        "--calibration",
        "skimage",
        "--golden",
        "rendered",
        "--out",
        str(tmp_path / "out"),
    ]
    code = f"from benchmarks.measure.exports import run_export; print(run_export({words!r}, timeout_s={patience_s()}).said)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    child = None
    try:
        while child is None:
            assert parent.poll() is None, parent.communicate()[0]
            time.sleep(0.05)
            with contextlib.suppress(OSError):
                text = (tmp_path / "pid").read_text()
                child = int(text[:-1]) if text.endswith(".") else None
        parent.kill()
        parent.wait()
        wait_until(lambda: not _lives(child), "the end of the export")
    finally:
        parent.kill()
        parent.communicate()
        if child is not None and _lives(child):
            os.kill(child, signal.SIGKILL)


def _lives(pid: int) -> bool:
    """A process that ended and that nobody waited for (state Z of proc_pid_stat(5)) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
