"""Alternating rounds of contestants that are all loaded, one of them running at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.measure.single_stream import in_turn
from benchmarks.peers.entries import Entry
from benchmarks.peers.worker_process import Loaded, Worker
from benchmarks.peers.workers.harness import WARM_UP
from benchmarks.record.draft import Say
from benchmarks.record.rounds import round_rates
from benchmarks.record.schema import Round
from benchmarks.record.stats import median
from edge.errors import BackendError

_TRIAL = 5  # queries that tell how many fill a round
_LEAST = 5
_SPARE_S = 60.0
_SETTLE_S, _SETTLED_BY_S = 0.03, 1.0


@dataclass(frozen=True, slots=True)
class ContestSettings:
    """``cores``: CPUs that every contestant is held to. ``seconds``: of one round of one contestant. ``starts``: timed starts each."""

    threads: int
    cores: tuple[int, ...]
    rounds: int
    seconds: float
    starts: int


@dataclass(slots=True)
class EntryResult:
    """What one contestant showed. ``judged_top`` and ``timed_top``: its best class of each picture. ``idle_share``: CPU time that it
    took while others had their rounds ÷ the time of those rounds. A round's ``cpu_s`` is the
    process's, less the untimed queries' share. ``failure``: why it was given up, else None."""

    entry: Entry
    loaded: Loaded | None = None
    judged_top: list[int] = field(default_factory=list)
    timed_top: list[int] = field(default_factory=list)
    starts_ms: list[float] = field(default_factory=list)
    resident_bytes: int = 0
    peak_bytes: int = 0
    rounds: list[Round] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    idle_share: float = 0.0
    failure: str | None = None

    def rates(self) -> list[float]:
        """Queries a second of each round."""
        return round_rates(self.rounds)


def contest(entries: Sequence[Entry], settings: ContestSettings, say: Say, advance: Callable[[], None]) -> list[EntryResult]:
    """Start all, then let them run in turn; a result for each entry, in the same order.

    A contestant that fails is given up and the others go on. ``advance`` is called once a start phase and once a round of one
    contestant: ``(1 + rounds) · entries`` times if none fails.
    """
    results = [EntryResult(entry) for entry in entries]
    with ExitStack() as stack:
        running: list[tuple[EntryResult, Worker]] = []
        for result in results:
            say(f"starting {result.entry.title}")
            try:
                _rehearse(result, settings)
                worker = stack.enter_context(_worker(result, settings))
                result.loaded = worker.loaded
                result.starts_ms.append(worker.start_s * 1e3)
                result.resident_bytes, _ = worker.memory_bytes()
                running.append((result, worker))
            except BackendError as error:
                result.failure = str(error)
            advance()
        counts = _counts(running, settings)
        for number in range(settings.rounds):
            for result, worker in in_turn(running, number):
                if result.failure is None:
                    say(f"round {number + 1} of {settings.rounds}: {result.entry.title}")
                    _round(result, worker, counts[result.entry.title], running, settings)
                advance()
        for result, worker in running:
            if result.failure is None:
                _last_look(result, worker)
    return results


def _rehearse(result: EntryResult, settings: ContestSettings) -> None:
    """Its answers, from a process of their own, which also fills the file caches; then all timed starts but the last."""
    with _worker(result, settings) as first:
        result.judged_top = [top[0] for top in first.answers("judged")]
        result.timed_top = [top[0] for top in first.answers("timed")]
    for _ in range(settings.starts - 1):
        with _worker(result, settings) as one:
            result.starts_ms.append(one.start_s * 1e3)


def _worker(result: EntryResult, settings: ContestSettings) -> Worker:
    return Worker(result.entry.command, result.entry.job, settings.cores)


def _counts(running: Sequence[tuple[EntryResult, Worker]], settings: ContestSettings) -> dict[str, int]:
    """How many queries fill a round, by title."""
    counts = {}
    for result, worker in running:
        try:
            typical_ms = median(worker.round(_TRIAL, _SPARE_S))
            counts[result.entry.title] = max(_LEAST, round(settings.seconds * 1000 / typical_ms))
        except BackendError as error:
            result.failure = str(error)
        _settle(worker)
    return counts


def _round(
    result: EntryResult, worker: Worker, count: int, running: Sequence[tuple[EntryResult, Worker]], settings: ContestSettings
) -> None:
    others = [(other, its) for other, its in running if its is not worker and other.failure is None]
    before = [its.cpu_s() for _, its in others]
    start, spent_s = time.perf_counter(), worker.cpu_s()
    try:
        times = worker.round(count, _SPARE_S + 20 * settings.seconds)
    except BackendError as error:
        result.failure = str(error)
        return
    wall_s = time.perf_counter() - start
    cpu_s = (worker.cpu_s() - spent_s) * count / (count + WARM_UP)
    result.rounds.append(Round(queries=count, seconds=sum(times) / 1e3, p50_ms=median(times), cpu_s=cpu_s))
    result.times_ms += times
    for (other, its), spent in zip(others, before, strict=True):
        share = (its.cpu_s() - spent) / wall_s
        other.idle_share += share / (settings.rounds * max(1, len(running) - 1))
    _settle(worker)


def _settle(worker: Worker) -> None:
    """Wait until its threads sleep: runtimes let them spin for a while after a query."""
    deadline = time.perf_counter() + _SETTLED_BY_S
    spent = worker.cpu_s()
    while time.perf_counter() < deadline:
        time.sleep(_SETTLE_S)
        now = worker.cpu_s()
        if now == spent:
            return
        spent = now


def _last_look(result: EntryResult, worker: Worker) -> None:
    try:
        _, result.peak_bytes = worker.memory_bytes()
    except BackendError as error:
        result.failure = str(error)
