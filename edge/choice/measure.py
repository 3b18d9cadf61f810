"""Run the probes: one child process at a time, rounds alternating between candidates, so that drift hits all alike.

A candidate is measured on the CPU and on the first of its other places where it passes its gate; the ones before that have their reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event

import msgspec

from edge import sandbox
from edge.bundle.reader import Bundle
from edge.choice.pick import ProbeResult, Row, make_row
from edge.choice.places import CPU_ONLY, Wanted, accelerators, family, label, on_cpu
from edge.data import Provider
from edge.errors import BackendError, ProviderError
from edge.manifest import Candidate, Model, RuntimeKey
from edge.sandbox import Limits, NotConfinedError, SandboxError, StoppedError
from edge.text import safe_text

ROUNDS = 3
RUNS = 40

START_S = 60
"""Of a probe, for Python, the runtime and the loading of a file on the slowest board beside a busy loop."""

SLOWEST_MACS_PER_S = 100e6
"""A tenth of what a Raspberry Pi Zero 2 W does on one core, which a loop may be sharing."""

LONGEST_S = 600
"""However many multiply-accumulates a manifest claims."""

MEMORY_BYTES = 1_500_000_000
"""Data memory of a probe on the CPU: Python and a runtime with 20 MB of weights stay below a fifth of it."""

LEAST_MEMORY_BYTES = 400_000_000
"""A small board gives half of its memory, but never less than this: what a probe of a valid bundle needs."""

ENGINE_TIMEOUT_S = 1200
"""With the building of an engine: some were seen to take ten minutes (https://github.com/microsoft/onnxruntime/issues/13851)."""

Progress = Callable[[str, int, int], None]
"""Called with (candidate, probes done, probes in all, as far as known) before each probe."""

Learn = Callable[[Candidate, ProbeResult], None]
"""Called with what the first probe of a candidate at a place found out."""

_Results = dict[tuple[str, Provider], list[ProbeResult]]
"""(candidate, place) → its rounds."""


def limits_of(candidate: Candidate, images: int, threads: int, place: Provider = "cpu") -> Limits:
    """What a probe may take that runs ``images`` pictures: time by what the manifest says of the work, within bounds; memory only on
    the CPU, because a GPU's driver maps as much as the card has. CPU time for its threads and one more, so that what only takes long is
    ended by the clock, on an idle machine too."""
    if place != "cpu":
        seconds = ENGINE_TIMEOUT_S if place.startswith("tensorrt") else LONGEST_S
        return Limits(seconds=seconds, cpu_seconds=seconds * (threads + 1), memory_bytes=None)
    seconds = int(min(LONGEST_S, START_S + images * candidate.macs / SLOWEST_MACS_PER_S))
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory = min(MEMORY_BYTES, max(LEAST_MEMORY_BYTES, here // 2))
    return Limits(seconds=seconds, cpu_seconds=seconds * (threads + 1), memory_bytes=memory)


MODULE = "edge.choice.probe"
_REASON_CHARACTERS = 600


class CancelledError(Exception):
    """The measurement was told to stop."""


class Prober:
    """Starts the probes of one model; ``cancel`` ends the one that runs, from any thread.

    On the CPU they run confined (``edge.sandbox``): limited time and memory, no network, no file but the bundle's. An accelerator needs
    its devices, a cache of engines that it can write, and memory without a limit: there only time is limited, and a candidate that went
    beyond its limits on the CPU is not let near one.
    """

    def __init__(
        self,
        bundle: Bundle,
        model: Model,
        threads: int,
        wanted: Wanted = CPU_ONLY,
        *,
        niceness: int = 0,
        learn: Learn = lambda *_: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._bundle = bundle
        self._model = model
        self._threads = threads
        self._wanted = wanted
        self._niceness = niceness
        self._learn = learn
        self._stopped = stopped
        self._cancelled = Event()

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
        available: dict[RuntimeKey, tuple[Provider, ...]] = {}
        missing: set[tuple[RuntimeKey, str]] = set()

        def judged(candidate: Candidate, place: Provider, left: int) -> bool:
            progress(label(candidate.name, place), len(results), rounds * (len(results) + left))
            result = self._probe(candidate, place, runs, "judge")
            results[candidate.name, place] = [result]
            self._learn(candidate, result)
            if result.missing:
                missing.add((candidate.runtime_key, family(place)))
            return make_row(candidate, [result], self._model).passes

        for number, candidate in enumerate(candidates):
            left = len(candidates) - number
            if on_cpu(candidate, self._wanted):
                judged(candidate, "cpu", left)
                first = results[candidate.name, "cpu"][0]
                available[candidate.runtime_key] = first.available or available.get(candidate.runtime_key, ())
                if first.killed:
                    continue
            for place in accelerators(candidate, self._wanted, available.get(candidate.runtime_key, ())):
                if (candidate.runtime_key, family(place)) not in missing and judged(candidate, place, left):
                    break
        return results

    def sleep(self, seconds: float) -> None:
        """Wait, but not past ``cancel``: then CancelledError."""
        if self._cancelled.wait(seconds):
            raise CancelledError

    def cancel(self) -> None:
        """Stop within a fraction of a second; ``measure`` and ``attempt`` raise CancelledError."""
        self._cancelled.set()

    def judge(self, candidate: Candidate, place: Provider) -> Row:
        """The golden pictures answered there once and held against the gate. Raises as ``attempt``; BackendError: it cannot run here."""
        result = self.attempt(candidate, place)
        self._learn(candidate, result)
        if result.unavailable or result.missing:
            raise (ProviderError if result.missing else BackendError)(str(result.failure), fix=result.fix)
        return make_row(candidate, [result], self._model)

    def attempt(self, candidate: Candidate, place: Provider) -> ProbeResult:
        """The golden pictures answered there once, and nothing timed. Raises CancelledError; BackendError: no child can be started."""
        return self._probe(candidate, place, 0, "judge")

    def limits(self, candidate: Candidate, place: Provider, runs: int) -> Limits:
        """Of one probe."""
        archives = {a.golden.archive.file: a.golden.images for a in self._model.answers if a.golden is not None}
        return limits_of(candidate, runs + sum(archives.values()), self._threads, place)

    def _probe(self, candidate: Candidate, place: Provider, runs: int, mode: str) -> ProbeResult:
        limits = self.limits(candidate, place, runs)
        directory = self._bundle.directory.resolve()
        args = [str(directory), self._model.name, candidate.name, str(self._threads), str(runs), mode]
        failed = ProbeResult(candidate=candidate.name, place=place, killed=True)
        if self._wants_no_more():
            raise CancelledError
        try:
            if place == "cpu":
                printed = sandbox.run_module(
                    MODULE,
                    args,
                    readable=[directory],
                    limits=limits,
                    niceness=self._niceness,
                    stopped=self._wants_no_more,
                )
            else:
                args.append(msgspec.json.encode(self._wanted.placement(place)).decode())
                printed = sandbox.run_python(
                    ["-m", MODULE, *args], limits=limits, niceness=self._niceness, stopped=self._wants_no_more
                )
            told = msgspec.json.decode(printed, type=ProbeResult)
        except StoppedError as error:
            raise CancelledError from error
        except NotConfinedError as error:
            raise BackendError(f"no model can be tried on this machine: {error.reason}") from error
        except SandboxError as error:
            return msgspec.structs.replace(failed, failure=safe_text(error.reason, limit=_REASON_CHARACTERS))
        except msgspec.DecodeError as error:
            return msgspec.structs.replace(failed, failure=f"its process did not print a result: {error}")
        failure = None if told.failure is None else safe_text(told.failure, limit=_REASON_CHARACTERS)
        return msgspec.structs.replace(told, candidate=candidate.name, place=place, failure=failure)

    def _wants_no_more(self) -> bool:
        return self._cancelled.is_set() or self._stopped()
