"""The benchmark record, schema 1: what every ``shelfcam bench`` writes, and the reader that refuses what it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from benchmarks.record.stats import paired_ratio, percentile
from edge import strict
from edge.errors import DataError, InputMissingError
from edge.files import write_atomic
from edge.manifest import Precision
from edge.strict import Strict

SCHEMA = 1
PEAK = "peak"
"""The bench of records of what the machine reaches at most."""
NETWORK_BENCHES = ("zoo", "latency")
"""Benches whose records are about networks alone, as their backends answer: what pages plot and baselines keep."""


class Host(Strict, frozen=True, kw_only=True):
    """The machine. ``features``: the CPU's instruction sets that 8-bit and float kernels choose by. What cannot be read is
    "unknown"."""

    board: str
    cpu: str
    features: tuple[str, ...]
    kernel: str
    governor: str


class MeasuredRuntime(Strict, frozen=True, kw_only=True):
    """The inference runtime and how it was told to run; ``threads``: its intra-operator threads."""

    name: str
    version: str
    options: dict[str, str]
    threads: int


class MeasuredModel(Strict, frozen=True, kw_only=True):
    """What was run. ``bundle``: "name@first 12 of its hash"; ``bytes``: of the candidate's file; ``macs``: of one crop;
    ``params``: elements of the weights that multiply; ``input``: shape, dtype and layout in words.

    Of a network of the zoo also: ``network`` and ``family`` as the zoo calls them; ``precision`` of the candidate;
    ``activation_bytes``: what all layers together write for one crop, in the candidate's own number formats; ``accuracy``: top-1
    on labelled pictures, 0…1, where the bundle knows it."""

    bundle: str
    model: str
    candidate: str
    bytes: int
    macs: int
    params: int
    input: str
    network: str | None = None
    family: str | None = None
    precision: Precision | None = None
    activation_bytes: int | None = None
    accuracy: float | None = None


class Round(Strict, frozen=True, kw_only=True):
    """One of the alternating rounds: ``queries`` in ``seconds`` of wall time. ``p50_ms``: median time of a query, where single
    ones were timed. ``cpu_s``: user and system seconds of the process, where a whole process was timed."""

    queries: int
    seconds: float
    p50_ms: float | None = None
    cpu_s: float | None = None


class Percentiles(Strict, frozen=True, kw_only=True):
    """Milliseconds of a query, or of one stage of it, over ``laps`` laps."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    laps: int


class Record(Strict, frozen=True, kw_only=True):
    """One thing that was measured on one machine.

    ``bench`` says what a query is. Percentiles are over all queries of all rounds (``benchmarks.record.stats.percentile``), null where
    single queries were not timed; ``throughput`` is the median of the rounds' queries per second. ``memory``: bytes by name.
    ``thermal``: what the machine says before and after. ``energy_j``: joules by rail over all rounds, where the board measures them.
    ``simulated_device``: what stood in for the device (an emulator's name), null on the real one.
    """

    schema: Literal[1] = 1
    bench: str
    host: Host
    runtime: MeasuredRuntime
    model: MeasuredModel
    rounds: tuple[Round, ...]
    queries: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None = None
    throughput: float
    stages: dict[str, Percentiles] = msgspec.field(default_factory=dict)
    memory: dict[str, int] = msgspec.field(default_factory=dict)
    thermal: dict[str, float] = msgspec.field(default_factory=dict)
    energy_j: dict[str, float] = msgspec.field(default_factory=dict)
    simulated_device: str | None = None
    notes: tuple[str, ...] = ()


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One side of an alternation: its rounds, and percentiles over all queries of all rounds."""

    rounds: tuple[Round, ...]
    all: Percentiles


class Ratio(Strict, frozen=True, kw_only=True):
    """``value``: the median over paired rounds of numerator ÷ denominator; ``low`` and ``high``: its 95 % interval, by the seeded
    percentile bootstrap of ``benchmarks.record.stats.paired_ratio``. Both records are named by ``record_id``."""

    name: str
    numerator: str
    denominator: str
    value: float
    low: float
    high: float


class Check(Strict, frozen=True, kw_only=True):
    """A figure beside its target. ``holds`` and ``value`` are null where it was not measured; ``note`` says why, and how sure
    the figure is."""

    name: str
    value: float | None
    sense: Literal["≥", "≤"]
    limit: float
    unit: str
    holds: bool | None
    note: str = ""


class Conditions(Strict, frozen=True, kw_only=True):
    """What disturbed a measurement: load averages (1 minute) before and after; shares of all CPU time in between that went to
    other processes, and that the hypervisor gave to other machines (steal)."""

    load_before: float
    load_after: float
    others_share: float
    steal_share: float


class Missing(Strict, frozen=True, kw_only=True):
    """What was asked for and could not be measured, with the reason: it did not fit, failed, or took too long."""

    name: str
    reason: str


class Report(Strict, frozen=True, kw_only=True):
    """What ``shelfcam bench … --json`` prints. ``quick``: fewer rounds and queries than a figure to be quoted needs."""

    schema: Literal[1] = 1
    bench: str
    quick: bool
    records: tuple[Record, ...]
    ratios: tuple[Ratio, ...]
    checks: tuple[Check, ...]
    conditions: Conditions
    missing: tuple[Missing, ...] = ()


T = TypeVar("T", bound=Strict)


def threads_in_words(count: int) -> str:
    """ "1 thread", "2 threads"."""
    return f"{count} thread" if count == 1 else f"{count} threads"


def write_json(path: Path, what: object) -> None:
    """Replace the file in one step. Raises SinkError."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(what), indent=1) + b"\n")


def record_id(record: Record) -> str:
    """The name by which a ratio calls a record, unique within a report: ``bench/model/candidate/input/runtime/threads``."""
    model, runtime = record.model, record.runtime
    shape = model.input.partition(" ")[0]
    return f"{record.bench}/{model.model}/{model.candidate}/{shape}/{runtime.name}/{runtime.threads}t"


def percentiles_of(times_ms: Sequence[float]) -> Percentiles:
    """The percentiles of single times."""
    p50, p90, p99 = (percentile(times_ms, q) for q in (0.5, 0.9, 0.99))
    return Percentiles(p50_ms=p50, p90_ms=p90, p99_ms=p99, laps=len(times_ms))


def ratio_of(name: str, numerator: Record, denominator: Record, values: tuple[Sequence[float], Sequence[float]]) -> Ratio:
    """The ratio of two records whose rounds were paired; ``values``: one figure a round of each. Raises ValueError."""
    value, low, high = paired_ratio(*values)
    return Ratio(name=name, numerator=record_id(numerator), denominator=record_id(denominator), value=value, low=low, high=high)


def read_record(path: Path) -> Record:
    """A record from its file. Raises InputMissingError, or DataError for what is no record of this schema."""
    return read_struct(path, Record)


def read_report(path: Path) -> Report:
    """A report from its file. Raises InputMissingError, or DataError for what is no such report."""
    return read_struct(path, Report)


def read_struct(path: Path, struct: type[T]) -> T:
    """Any struct of this schema from its file, the report of a bench that adds to it among them. Raises as ``read_report``."""
    try:
        data = strict.load_json(path)
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(str(error)) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int:
        raise DataError(f"{path}: schema: missing or not a whole number", fix=f"this version reads schema {SCHEMA}")
    if schema != SCHEMA:
        fix = "update shelfcam" if schema > SCHEMA else "measure again"
        raise DataError(f"{path}: schema {schema} is unknown; this version of shelfcam reads schema {SCHEMA}", fix=fix)
    return strict.convert(data, struct, path, DataError)
