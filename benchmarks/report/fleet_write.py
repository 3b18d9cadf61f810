"""Several machines' reports → a directory: records.csv, ship.csv, fleet.json and one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

import msgspec

from benchmarks.record.schema import Missing, Report, threads_in_words, write_json
from benchmarks.report import tables
from benchmarks.report.findings import findings
from benchmarks.report.fleet import Ship, name_boards, ships
from benchmarks.report.pages import (
    LATENCY,
    PAGE,
    definitions,
    figure_of,
    host_facts,
    missing_table,
    runtimes_of,
    sizes_words,
    staged_page,
    warnings,
)
from benchmarks.report.plots import AXES, latency_plot
from benchmarks.report.points import Point, comparable, largest, points_of
from benchmarks.report.sentences import two_sentences
from benchmarks.report.write import csv_text

_COLUMNS_MAX = 2  # boards beside each other


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """``fleet.json``. ``boards``: file → what its machine is called; ``sentences``: each machine's verdict on weight and latency."""

    schema: int = 1
    boards: dict[str, str]
    sentences: dict[str, tuple[str, str]]
    ship: list[Ship]
    points: dict[str, list[dict[str, object]]]
    missing: dict[str, list[Missing]]


def write_fleet(reports: Mapping[str, Report], out: Path, *, replace: bool = False) -> Fleet:
    """Write the directory, whole or not at all.

    Args:
        reports: by file; files inside ``out`` stay there.
        out: the directory.
        replace: whether an earlier report at ``out`` may be replaced.

    Raises:
        DataError: a report of another bench, or without records; named by its file.
        SinkError: ``out`` is occupied or cannot be written, or has an input with the name of a file of the page.
        BackendError: matplotlib is not installed.
    """
    boards = name_boards(reports)
    read = {boards[file]: points_of(report, name=file) for file, report in reports.items()}
    points = {board: found for board, (found, _) in read.items()}
    made = Fleet(
        boards=boards,
        sentences={board: two_sentences(findings(found)) for board, found in points.items()},
        ship=ships(points),
        points={board: tables.point_numbers(found) for board, found in points.items()},
        missing={board: missing for board, (_, missing) in read.items()},
    )
    with staged_page(out, [Path(file) for file in reports], replace=replace) as stage:
        rows = [{"board": board, **row} for board, found in made.points.items() for row in found]
        (stage / "records.csv").write_text(csv_text(rows), encoding="utf-8")
        (stage / "ship.csv").write_text(csv_text([_flat(row) for row in made.ship]), encoding="utf-8")
        write_json(stage / "fleet.json", made)
        (stage / PAGE).write_text(_page(reports, made, points), encoding="utf-8")
    return made


def _flat(row: Ship) -> dict[str, object]:
    return asdict(row) | {"ties": "; ".join(row.ties), "everywhere": "; ".join(row.everywhere)}


def _page(reports: Mapping[str, Report], made: Fleet, points: Mapping[str, Sequence[Point]]) -> str:
    from export.report import page

    body = ["<h1>Weight and latency, board by board</h1>"]
    for file, report in reports.items():
        board = made.boards[file]
        facts = {"Source": file} | host_facts(report.records[0].host, report.conditions, runtimes_of(points[board]))
        told = [page.note(words, warn=True) for words in warnings(report)]
        verdict = "".join(f"<p><strong>{escape(words)}</strong></p>" for words in made.sentences[board])
        body.append(page.section(board, *told, verdict, definitions(facts)))
    body += _curves(points)
    body.append(page.section("Which candidate to ship", page.note(_SHIP), _ship_table(made.ship, list(points))))
    body += [page.section(f"Missing on {board}", missing_table(missing)) for board, missing in made.missing.items()]
    return page.document("shelfcam: weight and latency, board by board", body)


_SHIP = (
    "Of each network, the candidate and threads with the lowest p90 whose file fits 20 MB, with its p90, for every board; then what is "
    "as fast within the noise of the rounds. The last column: what is among the fastest on every board that has the network."
)


def _curves(points: Mapping[str, Sequence[Point]]) -> list[str]:
    """One row of panels a runtime and thread count, one panel a board, all with the same axes; {LATENCY}."""
    from export.report import page

    everything = [p for found in points.values() for p in comparable(largest(found))]
    kinds = sorted({(p.threads, p.runtime) for p in everything})
    columns = min(len(points), _COLUMNS_MAX)
    sizes = next((words for found in points.values() if (words := sizes_words(comparable(found)))), "")
    parts = []
    for axis in AXES.values():
        if not any(axis.of(p) for p in everything):
            continue
        figures = []
        for threads, runtime in kinds:
            panels = {
                board: [p for p in comparable(largest(found)) if (p.threads, p.runtime) == (threads, runtime)]
                for board, found in points.items()
            }
            panels = {board: found for board, found in panels.items() if found}
            count = threads_in_words(threads)
            caption = f"latency against {axis.title}, {runtime}, {count}, all with the same axes; {LATENCY}{sizes}."
            figures.append(figure_of(latency_plot(panels, axis, columns=columns), caption))
        parts.append(page.section(f"Latency against {axis.title}", *figures))
    return parts


def _ship_table(rows: Sequence[Ship], boards: Sequence[str]) -> str:
    """One line a network and size, one column a board."""
    lines = []
    for network, size in dict.fromkeys((row.network, row.size) for row in rows):
        mine = {row.board: row for row in rows if (row.network, row.size) == (network, size)}
        everywhere = next(iter(mine.values())).everywhere
        cells = [_ship_words(mine.get(board)) for board in boards]
        lines.append([network, size, *cells, ", ".join(everywhere) or tables.NONE])
    return tables.html_table(["network", "input", *boards, "for all boards"], lines)


def _ship_words(row: Ship | None) -> str:
    if row is None:
        return "not measured"
    if row.candidate is None:
        return "nothing fits 20 MB"
    ties = f"; as fast: {' / '.join(row.ties)}" if row.ties else ""
    return f"{row.candidate}, {threads_in_words(row.threads or 1)}: {row.p90_ms:.2f} ms{ties}"
