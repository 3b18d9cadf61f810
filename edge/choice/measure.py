"""Run the probes: one child process at a time, rounds alternating between candidates, so that drift hits all alike."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.bundle.manifest import Candidate, Model
from edge.bundle.reader import Bundle
from edge.choice.pick import ProbeResult, Row, make_row
from edge.errors import BackendError

ROUNDS = 3
RUNS = 40
PROBE_TIMEOUT_S = 300

Progress = Callable[[str, int, int], None]
"""Called with (candidate, probes done, probes in all) before each probe."""


_HOME = Path(__file__).resolve().parents[2]
"""Where probes run: ``python -m`` puts its working directory before everything else that can be imported, so it must be one that holds
this very package, and not whatever directory the user stands in."""


class CancelledError(Exception):
    """The measurement was told to stop."""


class Prober:
    """Starts the probes of one model; ``cancel`` ends the one that runs, from any thread."""

    def __init__(self, bundle: Bundle, model: Model, threads: int, *, niceness: int = 0) -> None:
        self._bundle = bundle
        self._model = model
        self._threads = threads
        self._niceness = niceness
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()

    def measure(self, progress: Progress, *, rounds: int = ROUNDS, runs: int = RUNS) -> list[Row]:
        """A row per candidate. A candidate that fails its gate or cannot run is not timed again in later rounds.

        Raises:
            CancelledError: ``cancel`` was called.
        """
        candidates = self._model.candidates
        results: dict[str, list[ProbeResult]] = {c.name: [] for c in candidates}
        for number in range(rounds):
            for index, candidate in enumerate(candidates):
                progress(candidate.name, number * len(candidates) + index, rounds * len(candidates))
                if number == 0 or make_row(candidate, results[candidate.name], self._model).passes:
                    results[candidate.name].append(self._probe(candidate, runs, "time" if number else "judge"))
        return [make_row(c, results[c.name], self._model) for c in candidates]

    def sleep(self, seconds: float) -> None:
        """Wait, but not past ``cancel``: then CancelledError."""
        if self._cancelled.wait(seconds):
            raise CancelledError

    def cancel(self) -> None:
        """Stop as soon as possible; ``measure`` raises CancelledError."""
        with self._lock:
            self._cancelled.set()
            if self._child is not None:
                self._child.kill()

    def _probe(self, candidate: Candidate, runs: int, mode: str) -> ProbeResult:
        command = [
            sys.executable,
            "-m",
            "edge.choice.probe",
            str(self._bundle.directory.resolve()),
            self._model.name,
            candidate.name,
        ]
        command += [str(self._threads), str(runs), mode]
        if self._niceness:
            command = ["nice", "-n", str(self._niceness), *command]
        with self._lock:
            if self._cancelled.is_set():
                raise CancelledError
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=_HOME)
        try:
            out, err = self._child.communicate(timeout=PROBE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            return ProbeResult(candidate=candidate.name, failure=f"took longer than {PROBE_TIMEOUT_S} s")
        if self._cancelled.is_set():
            raise CancelledError
        if self._child.returncode != 0:
            last = (err.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            return ProbeResult(candidate=candidate.name, failure=f"its process ended with {self._child.returncode}: {last}")
        try:
            return msgspec.json.decode(out, type=ProbeResult)
        except msgspec.DecodeError as error:
            raise BackendError(f"the probe of {candidate.name} did not print a result: {error}") from error
