"""The real ``shelfcam`` command as a child process, with a state directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.record.host import process_memory
from edge.choice.pick import Choice
from edge.errors import BackendError, ExitCode, GateError

_CHOOSE_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Installation:
    """What is run and where it keeps its state. ``candidate`` may be "auto"."""

    bundle: Path
    model: str
    candidate: str
    state: Path

    def command(self, verb: str, *more: str) -> list[str]:
        """The command line of ``shelfcam VERB`` in this interpreter."""
        return [sys.executable, "-m", "edge.cli", verb, "--bundle", str(self.bundle), "--model", self.model, *more]

    def environment(self) -> dict[str, str]:
        """This process's, with state in ``state`` and no systemd."""
        kept = {k: v for k, v in os.environ.items() if k not in {"STATE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"}}
        return kept | {"XDG_STATE_HOME": str(self.state)}

    def choose(self, threads: int) -> Choice:
        """Run ``shelfcam choose`` for that many threads, so that later runs remember.

        Raises:
            GateError: no candidate passes its gate here.
            BackendError: the command failed otherwise.
        """
        command = self.command("choose", "--threads", str(threads), "--json")
        done = subprocess.run(
            command,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHOOSE_TIMEOUT_S,
            check=False,
        )
        if done.returncode != ExitCode.OK:
            said = done.stderr.decode(errors="replace").strip()
            kind = GateError if done.returncode == ExitCode.DATA else BackendError
            raise kind(f"shelfcam choose ended with {done.returncode}: {said}", fix="name a candidate with --candidate")
        return msgspec.json.decode(done.stdout, type=Choice)


class Service:
    """One ``shelfcam run`` whose events, on standard output, are read here.

    A context manager: whatever happens, the child is gone afterwards.

    Args:
        installation: what to run.
        timeout_s: the child is killed after so long, and reading it raises BackendError.
        more: further arguments of ``shelfcam run``.
    """

    def __init__(self, installation: Installation, *more: str, timeout_s: float) -> None:
        self._command = [*installation.command("run", "--candidate", installation.candidate), *more]
        self._environment = installation.environment()
        self._timeout_s = timeout_s
        self.started_s = 0.0
        self.cpu_s = 0.0
        """User and system seconds of the child and of its children, once ``finish`` was called."""

    def __enter__(self) -> Service:
        self._said = tempfile.TemporaryFile()
        self.started_s = time.perf_counter()
        self._child = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said
        )
        self._guard = threading.Timer(self._timeout_s, self._child.kill)
        self._guard.daemon = True
        self._guard.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.cancel()
        if self._child.returncode is None:
            self._child.kill()
            self._child.wait()
        self._said.close()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event as it comes, until the child closes its end."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            yield msgspec.json.decode(line)

    def memory_bytes(self) -> tuple[int, int]:
        """(resident now, resident at its peak), from /proc/PID/status (VmRSS, VmHWM). Raises BackendError when it is gone."""
        memory = process_memory(self._child.pid)
        if memory is None:
            raise BackendError(f"shelfcam run is gone: {self._last_words()}")
        return memory

    def terminate(self) -> None:
        """TimingRequest it to stop, as systemd would."""
        self._child.terminate()

    def finish(self) -> float:
        """Wait for its end; returns when that was (``time.perf_counter``). Raises BackendError unless it ended well."""
        _, status, usage = os.wait4(self._child.pid, 0)
        ended_s = time.perf_counter()
        self._child.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        if self._child.returncode != ExitCode.OK:
            raise BackendError(f"shelfcam run ended with {self._child.returncode}: {self._last_words()}")
        return ended_s

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or f"no message (is {self._timeout_s:.0f} s enough?)"
