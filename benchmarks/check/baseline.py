"""Baselines: where they lie, how they are kept, and what may not be compared with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.check.judge import name_of
from benchmarks.record.host import machine_name
from benchmarks.record.schema import NETWORK_BENCHES, PEAK, Record, Report, read_report, read_struct, record_id, write_json
from edge import strict
from edge.errors import DataError, InputMissingError, UsageError
from edge.strict import Strict

DIRECTORY = Path("baselines")
"""Where the user works: what a package brings is replaced with it."""


class Baselines(Strict, frozen=True, kw_only=True):
    """The file of one board, schema 1: a report of each bench of NETWORK_BENCHES that was kept."""

    schema: Literal[1] = 1
    zoo: Report | None = None
    latency: Report | None = None

    def of(self, bench: str) -> Report | None:
        """The report of a bench of NETWORK_BENCHES."""
        return self.zoo if bench == "zoo" else self.latency


def default_path(report: Report, *, name: str) -> Path:
    """``baselines/<board>.json`` below the current directory, or ``<cpu>.json`` of a machine that does not say what board it is. Raises
    DataError for a report without records."""
    return DIRECTORY / f"{slug(machine_name(_host_of(report, name).host))}.json"


def slug(board: str) -> str:
    """ "Raspberry Pi 5 Model B Rev 1.0" → "raspberry-pi-5-model-b-rev-1-0"."""
    return re.sub(r"[^a-z0-9]+", "-", board.lower()).strip("-") or "unknown"


def read_result(path: Path) -> Report:
    """A report of a bench that has baselines. Raises UsageError for one of another bench, else as ``read_report``."""
    with suppress(OSError, ValueError):  # which read_report tells
        data = strict.load_json(path)
        bench = data.get("bench") if isinstance(data, dict) else None
        if isinstance(bench, str) and bench not in NETWORK_BENCHES:
            raise UsageError(f"{path}: is a report of bench {bench}", fix=f"give one of bench {' or '.join(NETWORK_BENCHES)}")
    return read_report(path)


def read_baseline(path: Path, bench: str, result: Path) -> Report:
    """The baseline of a bench. Raises InputMissingError, with the command that makes one, or DataError."""
    kept = _read(path).of(bench) if path.is_file() else None
    if kept is None:
        where = "" if path.parent == DIRECTORY else f" --baseline {path}"
        command = f"shelfcam bench check {result}{where} --write"
        raise InputMissingError(
            f"{path}: there is no baseline of bench {bench} of this board", fix=f"keep this result as one: {command}"
        )
    return kept


def write_baseline(path: Path, report: Report) -> None:
    """Keep a result, in place of an earlier one of its bench; the other bench's stays.

    Raises:
        DataError: the result has no records, or the file is no file of baselines.
        UsageError: the file holds another board's.
        SinkError: it cannot be written.
    """
    host = _host_of(report, str(path)).host
    kept = _read(path) if path.is_file() else Baselines()
    for bench in NETWORK_BENCHES:
        other = kept.of(bench)
        if other is not None and (board := machine_name(_host_of(other, str(path)).host)) != machine_name(host):
            raise UsageError(
                f"{path}: holds baselines of {board}, not of {machine_name(host)}", fix="one file a board: name another"
            )
    kept = msgspec.structs.replace(kept, **{report.bench: report})
    write_json(path, kept)


def _read(path: Path) -> Baselines:
    found = read_struct(path, Baselines)
    for bench in NETWORK_BENCHES:
        kept = found.of(bench)
        if kept is not None and kept.bench != bench:
            raise DataError(f"{path}: {bench}: is a report of bench {kept.bench}", fix="keep the reports again with --write")
    return found


def refuse_unlike(result: Report, baseline: Report, *, names: tuple[str, str]) -> None:
    """Only the same measurement on the same machine can be compared.

    Args:
        result: the new report.
        baseline: the old one.
        names: what errors call the two: their files.

    Raises:
        UsageError: another board, CPU or stand-in for the device; another major version of a runtime; a record that the baseline has
            with other runtimes, or at other thread counts, only.
        DataError: one of them has no records, or they have none in common.
    """
    one, other = _host_of(result, names[0]), _host_of(baseline, names[1])
    _same("board", one.host.board, other.host.board, names)
    _same("CPU", one.host.cpu, other.host.cpu, names)
    _same("device", one.simulated_device or "real", other.simulated_device or "real", names)
    majors, kept = _majors(result.records), _majors(baseline.records)
    for runtime in sorted(majors.keys() & kept.keys()):
        _same(f"major version of {runtime}", majors[runtime], kept[runtime], names)
    runs, had = _runtimes(result.records), _runtimes(baseline.records)
    for record in sorted(runs.keys() & had.keys()):
        if not runs[record] & had[record]:
            _same(f"runtime of {record}", ", ".join(sorted(runs[record])), ", ".join(sorted(had[record])), names)
    now, then = _threads(result.records), _threads(baseline.records)
    for record in sorted(now.keys() & then.keys()):
        if not now[record] & then[record]:
            what = f"thread count of {record}"
            _same(what, _listed(now[record]), _listed(then[record]), names)
    if not {name_of(r) for r in result.records} & {name_of(r) for r in baseline.records}:
        raise DataError(f"{names[0]} and {names[1]} have no record in common", fix="measure the same networks and candidates")


def differences(result: Report, baseline: Report) -> list[str]:
    """What differs without forbidding the comparison, in words: a reader may want to know."""
    one, other = result.records[0].host, baseline.records[0].host
    found = [
        f"{name} {old} then, {new} now"
        for name, new, old in (
            ("kernel", one.kernel, other.kernel),
            ("governor", one.governor, other.governor),
            ("CPU features", " ".join(one.features), " ".join(other.features)),
        )
        if new != old
    ]
    versions, kept = ({r.runtime.name: r.runtime.version for r in report.records} for report in (result, baseline))
    for runtime in sorted(versions.keys() & kept.keys()):
        if versions[runtime] != kept[runtime]:
            found.append(f"{runtime} {kept[runtime]} then, {versions[runtime]} now")
    return found


def _same(what: str, ours: str, theirs: str, names: tuple[str, str]) -> None:
    if ours != theirs:
        raise UsageError(
            f"{names[0]} cannot be compared with {names[1]}: {what} {ours} here, {theirs} there",
            fix="give a baseline of the same kind with --baseline, or keep this result as one with --write",
        )


def _majors(records: Iterable[Record]) -> dict[str, str]:
    return {r.runtime.name: r.runtime.version.partition(".")[0] for r in records}


def _runtimes(records: Iterable[Record]) -> dict[str, set[str]]:
    """Record → the runtimes that it was measured with. Without the peaks, which every runtime has under the same name."""
    found: dict[str, set[str]] = {}
    for record in records:
        if record.bench != PEAK:
            before, _, after = record_id(record).rpartition(f"/{record.runtime.name}/")
            found.setdefault(f"{before}/{after}", set()).add(record.runtime.name)
    return found


def _threads(records: Iterable[Record]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for record in records:
        found.setdefault(record_id(record).rpartition("/")[0], set()).add(record.runtime.threads)
    return found


def _listed(counts: set[int]) -> str:
    return ", ".join(str(count) for count in sorted(counts))


def _host_of(report: Report, name: str) -> Record:
    if not report.records:
        raise DataError(f"{name}: holds no records", fix="measure something")
    return report.records[0]
