"""``shelfcam bench zoo``: how long every network of the zoo takes, from ready bundles or ones that are exported on the way.

The unit of work is a network at one input size. Each is on disk before the next begins, so that a run that was killed goes on where it
was. A network that cannot be had, or a candidate that cannot be timed, is a row with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.measure.activations import activation_bytes
from benchmarks.measure.alternation import Outcome, Schedule, alternate, missing_of, need_memory, ratios_within, timed_record
from benchmarks.measure.peak import NETS, export_peak, peak_records
from benchmarks.record.facts import Subject
from benchmarks.record.host import (
    conditions_between,
    describe_host,
    read_busyness,
    read_thermal,
    sum_conditions,
    thermal_change,
)
from benchmarks.record.schema import PEAK, Conditions, Missing, Ratio, Record, Report, write_json
from benchmarks.record.show import disturbed_share
from benchmarks.zoo import export_table
from benchmarks.zoo.export_table import ExportPlan, split_name
from benchmarks.zoo.resume import Resumable, read_resumable
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.keys import runtime_versions
from edge.errors import BackendError, ShelfcamError
from edge.manifest import MANIFEST_NAME
from edge.models import find_model
from edge.strict import Strict

BENCH = "zoo"
TIMINGS, REPORT = "timings.json", "report.json"
_NO_SUCH = "holds no such candidate"  # the one reason that trying again does not change


class Unit(Strict, frozen=True, kw_only=True):
    """One network at one input size (or all peaks): what was found, in how many seconds, and what disturbed it. ``tried_again``: another
    run asked once more for what is missing beside the records, and found no more."""

    key: str
    records: tuple[Record, ...]
    ratios: tuple[Ratio, ...]
    missing: tuple[Missing, ...]
    seconds: float
    conditions: Conditions
    tried_again: bool = False


class ZooTimings(Resumable, frozen=True, kw_only=True):
    """The units so far."""

    units: tuple[Unit, ...] = ()


@dataclass(frozen=True, slots=True)
class TimingPlan:
    """``keys``: "peak", NAME or NAME@SIDE; ``bundles``: folders of ready bundles that are called the same; ``export``: how a network
    without one is exported, below ``export.out``, where results go too."""

    keys: tuple[str, ...]
    candidates: tuple[str, ...]
    threads: tuple[int, ...]
    schedule: Schedule
    bundles: tuple[Path, ...]
    export: ExportPlan
    quick: bool

    def asked(self) -> dict[str, str]:
        """What a unit depends on; the machine is part of it, so that results of two are never joined."""
        host, length = describe_host(), self.schedule.length
        return {
            "machine": f"{host.board}, {host.cpu}",
            "runtimes": ", ".join(f"{name} {version}" for name, version in sorted(runtime_versions().items())),
            "candidates": ",".join(self.candidates),
            "threads": ",".join(map(str, self.threads)),
            "rounds": str(self.schedule.rounds),
            "round": f"at least {length.queries} queries and {length.seconds:g} s",
            "quick": str(self.quick).lower(),
        }


class UnitProgress(Protocol):
    """How far a run has come."""

    def unit(self, key: str, processes: int) -> None:
        """A unit's timing begins: so many processes."""
        ...

    def step(self, what: str) -> None:
        """A process, or an export, begins."""
        ...

    def done(self, unit: Unit) -> None:
        """A unit is on disk."""
        ...


def read_timings(plan: TimingPlan) -> ZooTimings:
    """What an earlier run left; empty without. Raises DataError where that is none, SinkError where other things were asked."""
    return read_resumable(plan.export.out / TIMINGS, ZooTimings, plan.asked())


def time_all(
    plan: TimingPlan,
    timings: ZooTimings,
    progress: UnitProgress,
    measure: Callable[[str, TimingPlan, UnitProgress], Unit] | None = None,
) -> ZooTimings:
    """Add the units that ``timings`` lacks; each is on disk, in the timings and in the report, before the next begins.

    A unit that is not ``settled`` is timed again, as a whole, because only what alternated can be compared. What it had stays unless more
    was found.
    """
    measure = measure or time_unit
    for key in plan.keys:
        before = next((unit for unit in timings.units if unit.key == key), None)
        if before is not None and settled(before):
            continue
        unit = measure(key, plan, progress)
        if before is not None and before.records and len(unit.records) <= len(before.records):
            unit = msgspec.structs.replace(before, tried_again=True)
        kept = tuple(other for other in timings.units if other.key != key)
        timings = msgspec.structs.replace(timings, units=(*kept, unit))
        write_json(plan.export.out / TIMINGS, timings)
        write_json(plan.export.out / REPORT, report_of(plan, timings))
        progress.done(unit)
    return timings


def settled(unit: Unit) -> bool:
    """Whether another run need not time it again: it has records, and what it lacks beside them cannot come, or did not come when it was
    asked for once more. Without a single record it is tried in every run."""
    may_come = any(_NO_SUCH not in missing.reason for missing in unit.missing)
    return bool(unit.records) and (unit.tried_again or not may_come)


def report_of(plan: TimingPlan, timings: ZooTimings) -> Report:
    """Everything in one report, in the order in which it was asked. Raises ValueError if nothing was asked."""
    units = [unit for key in plan.keys for unit in timings.units if unit.key == key]
    return Report(
        bench=BENCH,
        quick=plan.quick,
        records=tuple(record for unit in units for record in unit.records),
        ratios=tuple(ratio for unit in units for ratio in unit.ratios),
        checks=(),
        conditions=sum_conditions([(unit.seconds, unit.conditions) for unit in units]),
        missing=tuple(missing for unit in units for missing in unit.missing),
    )


def time_unit(key: str, plan: TimingPlan, progress: UnitProgress) -> Unit:
    """Find or make its bundle and time it; a unit is never a reason to stop."""
    names = tuple(NETS) if key == PEAK else (key,)
    subjects: list[Subject] = []
    missing: list[Missing] = []
    for name in names:
        try:
            subjects += _subjects(name, _bundle(name, plan, progress), plan, missing)
        except ShelfcamError as error:
            missing.append(Missing(name=name, reason=str(error)))
    before, thermal, start = read_busyness(), read_thermal(), time.monotonic()
    progress.unit(key, plan.schedule.rounds * len(subjects))
    outcomes = alternate(subjects, plan.schedule, lambda one: progress.step(f"{key} {one.candidate.name} {one.threads}t"))
    change = thermal_change(thermal, read_thermal())
    conditions = conditions_between(before, read_busyness())
    records, ratios = _found(key, outcomes, change, conditions)
    missing += [missing_of(outcome, key) for outcome in outcomes if outcome.failure is not None]
    return Unit(
        key=key,
        records=tuple(records),
        ratios=tuple(ratios),
        missing=tuple(missing),
        seconds=time.monotonic() - start,
        conditions=conditions,
    )


def _found(
    key: str, outcomes: Sequence[Outcome], thermal: dict[str, float], conditions: Conditions
) -> tuple[list[Record], list[Ratio]]:
    if key == PEAK:
        return peak_records(outcomes, thermal), []
    disturbed = disturbed_share(conditions)
    notes = (f"others had {disturbed:.0%} of the CPU time meanwhile",) if disturbed is not None else ()
    records = [timed_record(BENCH, outcome, thermal=thermal, notes=notes) for outcome in outcomes if outcome.timings]
    ratios: list[Ratio] = []
    for threads in dict.fromkeys(record.runtime.threads for record in records):
        ratios += ratios_within([record for record in records if record.runtime.threads == threads])
    return records, ratios


def _bundle(name: str, plan: TimingPlan, progress: UnitProgress) -> Bundle:
    """A ready one, else a new one. Raises ShelfcamError that says why there is none."""
    for folder in (*plan.bundles, plan.export.out):
        if (folder / name / MANIFEST_NAME).is_file():
            return open_bundle(folder / name, WORKSTATION)
    from export.load.model import need_torch

    need_torch()
    progress.step(f"exporting {name}")
    if name in NETS:
        export_peak(name, plan.export.out, plan.export.timeout_s)
    else:
        table = export_table.read_table(plan.export)
        lost = tuple(row for row in table.rows if row.name != name or row.status != "exported")  # its bundle is gone
        table = msgspec.structs.replace(table, rows=lost)
        table = export_table.export_all(replace(plan.export, networks=(name,)), table, lambda _: None, lambda _: None)
        row = next(row for row in table.rows if row.name == name)
        if row.status != "exported":
            raise BackendError(f"{row.status}: {row.reason}")
    return open_bundle(plan.export.out / name, WORKSTATION)


def _subjects(name: str, bundle: Bundle, plan: TimingPlan, missing: list[Missing]) -> list[Subject]:
    """The bundle's candidates that were asked for, at each number of threads. Those that it lacks, whose file is broken, or that do not
    fit into memory are added to ``missing``."""
    model = find_model(bundle, None)
    subjects = []
    for wanted in plan.candidates:
        candidate = model.candidate(wanted)
        if candidate is None:
            if name not in NETS:
                reason = f"{bundle.directory}: {_NO_SUCH}: not asked for, too large, or not like the float network"
                missing.append(Missing(name=f"{name}/{wanted}", reason=reason))
            continue
        try:
            need_memory(candidate)
            path = bundle.path(candidate.model_file)
        except ShelfcamError as error:
            missing.append(Missing(name=f"{name}/{wanted}", reason=str(error)))
            continue
        written = activation_bytes(path, candidate)
        network = None if name in NETS else split_name(name)[0]
        subjects += [Subject(bundle, model, candidate, threads, network, written) for threads in plan.threads]
    return subjects
