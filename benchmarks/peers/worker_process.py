"""The parent's side of a worker: start it, ask it, read what it takes of the machine, end it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.measure.children import HOME
from benchmarks.peers.workers.harness import WorkerJob
from benchmarks.record.host import process_memory
from edge.errors import BackendError
from edge.strict import Strict

LOAD_TIMEOUT_S = 300.0


class Loaded(Strict, frozen=True, kw_only=True):
    """A worker's first answer: what it runs on, and the best classes of its first input."""

    runtime: str
    version: str
    python: str
    first: tuple[int, ...]


class Times(Strict, frozen=True, kw_only=True):
    """A round: milliseconds of each query."""

    times_ms: list[float]


class TopClasses(Strict, frozen=True, kw_only=True):
    """The best classes of each input, best first."""

    top: list[list[int]]


T = TypeVar("T", bound=msgspec.Struct)


class Worker:
    """One worker process; a context manager: whatever happens, it is gone afterwards.

    Args:
        command: its command line.
        job: what it loads.
        cores: CPUs that it and all its threads are held to.
    """

    def __init__(self, command: Sequence[str], job: WorkerJob, cores: Sequence[int]) -> None:
        self._command = list(command)
        self._job = job
        self._cores = ",".join(map(str, cores))
        self._name = Path(command[-1]).stem

    def __enter__(self) -> Worker:
        self._said = tempfile.TemporaryFile()
        started_s = time.perf_counter()
        self._child = subprocess.Popen(
            self._command,
            env=_environment(os.environ, self._cores, self._job.threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=HOME,
        )
        try:
            self.loaded = self._ask(self._job, Loaded, LOAD_TIMEOUT_S)
        except BaseException:
            self.__exit__()
            raise
        self.start_s = time.perf_counter() - started_s
        """From before the process existed until its first result could be read."""
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()  # also adds its CPU time to this process's children
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # what was still to be written has no reader any more
                    continue
        self._said.close()

    def round(self, count: int, timeout_s: float) -> list[float]:
        """Milliseconds of ``count`` queries. Raises BackendError."""
        times = self._ask({"do": "round", "count": count}, Times, timeout_s).times_ms
        if len(times) != count or min(times) <= 0:
            raise BackendError(f"{self._name}: {len(times)} times for {count} queries, or one that is not positive")
        return times

    def answers(self, which: str, timeout_s: float = LOAD_TIMEOUT_S) -> list[list[int]]:
        """Best classes of the ``timed`` or ``judged`` inputs. Raises BackendError."""
        return self._ask({"do": "answers", "which": which}, TopClasses, timeout_s).top

    def memory_bytes(self) -> tuple[int, int]:
        """(resident now, resident at its peak), from /proc/PID/status (VmRSS, VmHWM). Raises BackendError when it is gone."""
        memory = process_memory(self._child.pid)
        if memory is None:
            raise BackendError(f"{self._name} is gone: {self._last_words()}")
        return memory

    def cpu_s(self) -> float:
        """User and system seconds of all its threads so far (proc_pid_stat(5), fields 14 and 15); 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self._child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _ask(self, message: object, kind: type[T], timeout_s: float) -> T:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        guard = threading.Timer(timeout_s, self._child.kill)
        guard.daemon = True
        guard.start()
        try:
            self._child.stdin.write(msgspec.json.encode(message) + b"\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            guard.cancel()
        if not line:
            code = self._child.wait()
            late = f" (it was given {timeout_s:.0f} s)" if code == -9 else ""
            raise BackendError(f"{self._name} ended with {code}{late}: {self._last_words()}")
        return parse_answer(line, kind, self._name)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "no message"


def parse_answer(line: bytes, kind: type[T], name: str) -> T:
    """A worker's line as what was asked for. Raises BackendError for anything else."""
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendError(f"{name} answered something else than {kind.__name__}: {error}") from error


def _environment(inherited: Mapping[str, str], cores: str, threads: int) -> dict[str, str]:
    """No peer sees this environment's packages; libraries that count their threads by OMP_NUM_THREADS get the same number."""
    kept = {key: value for key, value in inherited.items() if key not in {"PYTHONPATH", "PYTHONHOME", "NOTIFY_SOCKET"}}
    return kept | {"SHELFCAM_CORES": cores, "OMP_NUM_THREADS": str(threads)}
