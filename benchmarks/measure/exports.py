"""``shelfcam export`` as a child process: what it writes, how long it takes, and how much memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure.children import HOME, last_words
from benchmarks.measure.timing import expendable
from edge.cli import main as shelfcam
from edge.errors import BackendError

_ERROR = "shelfcam: "  # in front of every error on standard error


@dataclass(frozen=True, slots=True)
class ExportRun:
    """How one export ended. ``said``: its standard error. ``peak_bytes``: resident memory of the process at its highest."""

    exit_code: int
    seconds: float
    cpu_s: float
    peak_bytes: int
    said: str

    @property
    def error(self) -> str:
        """What the command said was wrong, without its advice; else its last words, or its exit code where it said nothing."""
        _, found, message = self.said.rpartition(_ERROR)
        lines = message.partition("\n  fix: ")[0].split() if found else []
        return " ".join(lines) or last_words(self.exit_code, self.said) or f"exit code {self.exit_code}"


def run_export(arguments: Sequence[str], *, timeout_s: float) -> ExportRun:
    """``shelfcam export ARGUMENTS``, which ends where this process does. Paths must be absolute: it runs elsewhere.

    Raises:
        BackendError: it took longer than ``timeout_s`` and was killed.
    """
    command = [sys.executable, "-m", "benchmarks.measure.exports", *arguments]
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, cwd=HOME)
        guard = threading.Timer(timeout_s, child.kill)
        guard.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        finally:
            guard.cancel()
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode(errors="replace")
    if seconds >= timeout_s:
        raise BackendError(f"shelfcam export took longer than {timeout_s:.0f} s")
    return ExportRun(child.returncode, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, words)


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    expendable()
    return shelfcam(["export", *argv])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
