"""Run the probes: one child process at a time, rounds alternating between candidates, so that drift hits all alike.

A candidate is measured on the CPU and on the first of its other places where it passes its gate; the ones before that have their reason.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.backends.base import Provider
from edge.bundle.manifest import Candidate, Model
from edge.bundle.reader import Bundle
from edge.choice.pick import ProbeResult, Row, make_row
from edge.choice.places import CPU_ONLY, Wanted, accelerators, family, label, on_cpu
from edge.errors import BackendError

ROUNDS = 3
RUNS = 40
PROBE_TIMEOUT_S = 300
ENGINE_TIMEOUT_S = 1200
"""With the building of an engine: some were seen to take ten minutes (https://github.com/microsoft/onnxruntime/issues/13851)."""

Progress = Callable[[str, int, int], None]
"""Called with (candidate, probes done, probes in all, as far as known) before each probe."""


_HOME = Path(__file__).resolve().parents[2]
"""Where probes run: ``python -m`` puts its working directory before everything else that can be imported, so it must be one that holds
this very package, and not whatever directory the user stands in."""


_Results = dict[tuple[str, Provider], list[ProbeResult]]
"""(candidate, place) → its rounds."""


class CancelledError(Exception):
    """The measurement was told to stop."""


class Prober:
    """Starts the probes of one model; ``cancel`` ends the one that runs, from any thread."""

    def __init__(self, bundle: Bundle, model: Model, threads: int, wanted: Wanted = CPU_ONLY, *, niceness: int = 0) -> None:
        self._bundle = bundle
        self._model = model
        self._threads = threads
        self._wanted = wanted
        self._niceness = niceness
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()

    def measure(self, progress: Progress, *, rounds: int = ROUNDS, runs: int = RUNS) -> list[Row]:
        """A row per candidate and place. One that fails its gate or cannot run is not timed again in later rounds.

        Raises:
            CancelledError: ``cancel`` was called.
            BackendError: no candidate can run where the site wants it to, whatever is installed.
        """
        wanted = self._wanted
        candidates = [c for c in self._model.candidates if wanted.candidate in (None, c.name)]
        results = self._judge(candidates, progress, rounds, runs)
        if not results:
            raise BackendError(
                f"no candidate of model {self._model.name!r} can run on {wanted.provider}",
                fix='write provider = "auto" under [model]',
            )
        for number in range(1, rounds):
            for index, ((name, place), probes) in enumerate(results.items()):
                candidate = next(c for c in candidates if c.name == name)
                progress(label(name, place), number * len(results) + index, rounds * len(results))
                if make_row(candidate, probes, self._model).passes:
                    probes.append(self._probe(candidate, place, runs, "time"))
        return [make_row(next(c for c in candidates if c.name == name), p, self._model) for (name, _), p in results.items()]

    def _judge(self, candidates: list[Candidate], progress: Progress, rounds: int, runs: int) -> _Results:
        """The first round, which finds out where each candidate can run and whether it passes there."""
        results: _Results = {}
        available: tuple[str, ...] = ()
        missing: set[str] = set()

        def judged(candidate: Candidate, place: Provider, left: int) -> bool:
            progress(label(candidate.name, place), len(results), rounds * (len(results) + left))
            result = self._probe(candidate, place, runs, "judge")
            results[candidate.name, place] = [result]
            if result.missing:
                missing.add(family(place))
            return make_row(candidate, [result], self._model).passes

        for number, candidate in enumerate(candidates):
            left = len(candidates) - number
            if on_cpu(candidate, self._wanted):
                judged(candidate, "cpu", left)
                available = results[candidate.name, "cpu"][0].available or available
            for place in accelerators(candidate, self._wanted, available):
                if family(place) not in missing and judged(candidate, place, left):
                    break
        return results

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

    def _probe(self, candidate: Candidate, place: Provider, runs: int, mode: str) -> ProbeResult:
        command = [
            sys.executable,
            "-m",
            "edge.choice.probe",
            str(self._bundle.directory.resolve()),
            self._model.name,
            candidate.name,
        ]
        command += [str(self._threads), str(runs), mode]
        if place != "cpu":
            command.append(msgspec.json.encode(self._wanted.placement(place)).decode())
        timeout_s = ENGINE_TIMEOUT_S if place.startswith("tensorrt") else PROBE_TIMEOUT_S
        if self._niceness:
            command = ["nice", "-n", str(self._niceness), *command]
        with self._lock:
            if self._cancelled.is_set():
                raise CancelledError
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=_HOME)
        try:
            out, err = self._child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            return ProbeResult(candidate=candidate.name, place=place, failure=f"took longer than {timeout_s} s")
        if self._cancelled.is_set():
            raise CancelledError
        if self._child.returncode != 0:
            last = (err.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            return ProbeResult(
                candidate=candidate.name, place=place, failure=f"its process ended with {self._child.returncode}: {last}"
            )
        try:
            return msgspec.json.decode(out, type=ProbeResult)
        except msgspec.DecodeError as error:
            raise BackendError(f"the probe of {candidate.name} did not print a result: {error}") from error
