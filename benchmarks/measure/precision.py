"""What 8 bits are worth: the int8 ONNX file's size, and its speed beside the fp32 one, in alternating processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure.children import run_child
from benchmarks.measure.share import Series
from benchmarks.record.spec import Round, make_stage
from benchmarks.record.stats import median
from edge.bundle.manifest import Candidate, Model, Precision
from edge.bundle.reader import Bundle
from edge.choice.pick import ProbeResult
from edge.errors import BackendError

_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A candidate and where it is."""

    bundle: Bundle
    model: Model
    candidate: Candidate


def onnx_candidates(bundle: Bundle, model: Model, precision: Precision) -> list[Placed]:
    """The model's ONNX candidates of that precision, in the manifest's order."""
    found = [c for c in model.candidates if c.format == "onnx" and c.precision == precision]
    return [Placed(bundle, model, candidate) for candidate in found]


def alternate_processes(places: Sequence[Placed], *, threads: int, rounds: int, runs: int) -> list[Series]:
    """Time every candidate once a round, each time in a new process; a series for each. Raises BackendError."""
    results: list[list[ProbeResult]] = [[] for _ in places]
    order = list(range(len(places)))
    for number in range(rounds):
        for index in order if number % 2 == 0 else reversed(order):
            results[index].append(_probe(places[index], threads, runs))
    return [_series(rounds_of_one) for rounds_of_one in results]


def _probe(place: Placed, threads: int, runs: int) -> ProbeResult:
    arguments = [str(place.bundle.directory.resolve()), place.model.name, place.candidate.name, str(threads), str(runs), "time"]
    result = run_child("edge.choice.probe", arguments, ProbeResult, timeout_s=_TIMEOUT_S)
    if result.failure is not None:
        raise BackendError(f"candidate {place.candidate.name}: {result.failure}")
    return result


def _series(results: Sequence[ProbeResult]) -> Series:
    rounds = [Round(queries=len(r.latency_ms), seconds=sum(r.latency_ms) / 1e3, p50_ms=median(r.latency_ms)) for r in results]
    return Series(rounds=tuple(rounds), all=make_stage([t for r in results for t in r.latency_ms]))
