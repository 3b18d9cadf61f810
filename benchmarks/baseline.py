"""Baselines: where they lie, how they are kept, and what may not be compared with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.spec import Record, Report, read_report, record_id
from edge.errors import DataError, InputMissingError, UsageError
from edge.files import write_atomic

DIRECTORY = Path(__file__).parent / "baselines"


def default_path(report: Report, *, name: str) -> Path:
    """``baselines/<board>.json`` beside this module. Raises DataError for a report without records."""
    return DIRECTORY / f"{slug(_host_of(report, name).host.board)}.json"


def slug(board: str) -> str:
    """ "Raspberry Pi 5 Model B Rev 1.0" → "raspberry-pi-5-model-b-rev-1-0"."""
    return re.sub(r"[^a-z0-9]+", "-", board.lower()).strip("-") or "unknown"


def read_baseline(path: Path, result: Path) -> Report:
    """The baseline. Raises InputMissingError, with the command that makes one, or DataError."""
    if not path.is_file():
        where = "" if path.parent == DIRECTORY else f" --baseline {path}"
        command = f"shelfcam bench check {result}{where} --write"
        raise InputMissingError(f"{path}: there is no baseline of this board", fix=f"keep this result as one: {command}")
    return read_report(path)


def write_baseline(path: Path, report: Report) -> None:
    """Keep a result. Raises DataError for one without records, SinkError where it cannot be written."""
    _host_of(report, str(path))
    write_atomic(path, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def refuse_unlike(result: Report, baseline: Report, *, names: tuple[str, str]) -> None:
    """Only the same measurement on the same machine can be compared.

    Args:
        result: the new report.
        baseline: the old one.
        names: what errors call the two: their files.

    Raises:
        UsageError: another bench, board, CPU or stand-in for the device; another major version of a runtime; a record that the
            baseline has at other thread counts only.
        DataError: one of them has no records, or they have none in common.
    """
    one, other = _host_of(result, names[0]), _host_of(baseline, names[1])
    _same("bench", result.bench, baseline.bench, names)
    _same("board", one.host.board, other.host.board, names)
    _same("CPU", one.host.cpu, other.host.cpu, names)
    _same("device", one.simulated_device or "real", other.simulated_device or "real", names)
    majors, kept = _majors(result.records), _majors(baseline.records)
    for runtime in sorted(majors.keys() & kept.keys()):
        _same(f"major version of {runtime}", majors[runtime], kept[runtime], names)
    now, then = _threads(result.records), _threads(baseline.records)
    for record in sorted(now.keys() & then.keys()):
        if not now[record] & then[record]:
            what = f"thread count of {record}"
            _same(what, _listed(now[record]), _listed(then[record]), names)
    if not {record_id(r) for r in result.records} & {record_id(r) for r in baseline.records}:
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
    if result.quick or baseline.quick:
        found.append("a quick measurement: fewer rounds and queries than a figure to be quoted needs")
    return found


def _same(what: str, ours: str, theirs: str, names: tuple[str, str]) -> None:
    if ours != theirs:
        raise UsageError(
            f"{names[0]} cannot be compared with {names[1]}: {what} {ours} here, {theirs} there",
            fix="give a baseline of the same kind with --baseline, or keep this result as one with --write",
        )


def _majors(records: Iterable[Record]) -> dict[str, str]:
    return {r.runtime.name: r.runtime.version.partition(".")[0] for r in records}


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
