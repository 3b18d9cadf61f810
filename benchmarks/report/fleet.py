"""Several machines' points: told apart by board, and which candidate to ship to which. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record.host import machine_name
from benchmarks.record.rounds import change_of, round_ms
from benchmarks.record.schema import Report, threads_in_words
from benchmarks.report.points import Point
from edge.errors import DataError


@dataclass(frozen=True, slots=True)
class Ship:
    """For one network at one input size on one board: the ``candidate`` and ``threads`` with the lowest p90 whose file fits 20 MB; null
    where none does. ``ties``: what is as fast within the noise of the rounds, as "candidate, threads". ``everywhere``: candidates that
    are the fastest or tied on every board that has this network at this size."""

    network: str
    size: str
    board: str
    candidate: str | None
    threads: int | None
    p90_ms: float | None
    bytes: int | None
    accuracy: float | None
    ties: tuple[str, ...]
    everywhere: tuple[str, ...]


def name_boards(reports: Mapping[str, Report]) -> dict[str, str]:
    """File → what its machine is called (``machine_name``), and where several files name the same one also the file, for reports carry no
    date by which one would be the newer.

    Raises:
        DataError: a report has no records.
    """
    boards = {}
    for file, report in reports.items():
        if not report.records:
            raise DataError(f"{file}: holds no records", fix="leave it out")
        boards[file] = machine_name(report.records[0].host)
    counts = Counter(boards.values())
    stems = Counter((boards[file], Path(file).stem) for file in reports)
    return {
        file: board if counts[board] == 1 else f"{board} ({Path(file).stem if stems[board, Path(file).stem] == 1 else file})"
        for file, board in boards.items()
    }


def ships(boards: Mapping[str, Sequence[Point]]) -> list[Ship]:
    """A row for each network, input size and board, in the order of the boards' points."""
    asked = dict.fromkeys((p.network, p.size) for points in boards.values() for p in points)
    rows = []
    for network, size in asked:
        found = {board: [p for p in points if (p.network, p.size) == (network, size)] for board, points in boards.items()}
        found = {board: points for board, points in found.items() if points}
        fast = {board: _fast([p for p in points if p.fits]) for board, points in found.items()}
        shared = set.intersection(*({p.candidate for p in points} for points in fast.values()))
        rows += [_ship(network, size, board, points, tuple(sorted(shared))) for board, points in fast.items()]
    return rows


def _fast(points: Sequence[Point]) -> list[Point]:
    """The one with the lowest p90, then those that are not slower beyond the noise."""
    if not points:
        return []
    best = min(points, key=lambda p: p.p90_ms)
    return [best, *(p for p in sorted(points, key=lambda p: p.p90_ms) if p is not best and _ties(p, best))]


def _ties(point: Point, best: Point) -> bool:
    """Whether the interval of the ratio of p90s reaches 1. Rounds hold medians, so the interval is theirs, moved to the p90s' ratio; too
    few rounds settle nothing."""
    change = change_of(round_ms(point.rounds), round_ms(best.rounds))
    if change is None:
        return True
    return point.p90_ms / best.p90_ms * change.low / change.value <= 1


def _ship(network: str, size: str, board: str, fast: Sequence[Point], everywhere: tuple[str, ...]) -> Ship:
    if not fast:
        return Ship(network, size, board, None, None, None, None, None, (), everywhere)
    best = fast[0]
    ties = tuple(f"{p.candidate}, {threads_in_words(p.threads)}" for p in fast[1:])
    return Ship(network, size, board, best.candidate, best.threads, best.p90_ms, best.bytes, best.accuracy, ties, everywhere)
