"""A report → a directory: records.csv, findings.json, its plots, and one page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import msgspec

from benchmarks.record.host import machine_name
from benchmarks.record.schema import Conditions, Host, Missing, Record, Report, threads_in_words, write_json
from benchmarks.report import tables
from benchmarks.report.findings import R2_LOW_MIN, R2_MIN, Finding, findings
from benchmarks.report.measured import measured, measured_tables
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
from benchmarks.report.plots import AXES, Plot, front_plot, latency_plot
from benchmarks.report.points import LIMIT_BYTES, Point, accurate_front, comparable, front, largest, points_of
from benchmarks.report.sentences import two_sentences
from edge.errors import DataError
from edge.text import csv_line


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """``findings.json``: everything that the page says, as numbers. ``front`` and ``accurate_front`` name records by their id, by
    thread count. ``measured``: the records of ``bench latency`` whole, with what no plot has."""

    schema: int = 1
    bench: str
    quick: bool
    sentences: tuple[str, str]
    findings: list[Finding]
    front: dict[str, list[str]]
    accurate_front: dict[str, list[str]]
    seed: list[tables.SeedRow]
    points: list[dict[str, object]]
    measured: list[Record]
    missing: list[Missing]
    host: Host
    conditions: Conditions


def write_report(report: Report, out: Path, *, name: str, replace: bool = False, inputs: Sequence[Path] = ()) -> Findings:
    """Write the directory, whole or not at all.

    Args:
        report: of ``bench zoo`` or ``bench latency``.
        out: the directory.
        name: what errors and the page call the report: its file.
        replace: whether an earlier report at ``out`` may be replaced.
        inputs: files of measurements that must not be lost where they lie inside ``out``.

    Returns:
        What was written as JSON.

    Raises:
        DataError: another bench's report, or nothing in it can be drawn.
        SinkError: ``out`` is occupied or cannot be written, or has an input with the name of a file of the page.
        BackendError: matplotlib is not installed.
    """
    points, missing = points_of(report, name=name)
    if not points:
        raise DataError(f"{name}: holds no record with single latencies", fix="measure with bench zoo or bench latency")
    made = _findings(report, points, missing)
    pictures = _pictures(points)
    with staged_page(out, inputs, replace=replace) as stage:
        (stage / "records.csv").write_text(csv_text(made.points), encoding="utf-8")
        write_json(stage / "findings.json", made)
        for key, picture in pictures.items():
            (stage / f"{key}.png").write_bytes(picture.png)
        (stage / PAGE).write_text(_page(report, made, points, pictures, name), encoding="utf-8")
    return made


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """With a header; what is not known is empty."""
    columns = list(rows[0]) if rows else []
    return csv_line(columns) + "".join(csv_line([row.get(column) for column in columns]) for row in rows)


def _findings(report: Report, points: Sequence[Point], missing: list[Missing]) -> Findings:
    found = findings(points)
    fronts = {str(threads): _drawn(points, threads) for threads in sorted({p.threads for p in points})}
    return Findings(
        bench=report.bench,
        quick=report.quick,
        sentences=two_sentences(found),
        findings=found,
        front={threads: [p.id for p in front(some)] for threads, some in fronts.items()},
        accurate_front={threads: [p.id for p in accurate_front(some)] for threads, some in fronts.items()},
        seed=tables.seed_rows(largest(points), _seed(), _aliases()),
        points=tables.point_numbers(points),
        measured=measured(report.records),
        missing=missing,
        host=report.records[0].host,
        conditions=report.conditions,
    )


def _page(report: Report, made: Findings, points: Sequence[Point], pictures: Mapping[str, Plot], name: str) -> str:
    from export.report import page

    facts = {"Source": f"{name}, bench {report.bench}"}
    facts |= host_facts(made.host, made.conditions, runtimes_of(points))
    body = [
        "<h1>Weight and latency</h1>",
        *(page.note(words, warn=True) for words in warnings(report)),
        page.section("Verdict", *(f"<p><strong>{escape(words)}</strong></p>" for words in made.sentences), page.note(_RULE)),
        page.section("Where and how", definitions(facts)),
        *_plots(points, pictures),
        page.section(
            "The seed's weights beside the measured ones",
            page.note(tables.seed_note(made.seed)),
            _table(tables.SEED_COLUMNS, tables.seed_cells(made.seed)),
        ),
        page.section(
            "The verdict in numbers", page.note(_NUMBERS), _table(tables.VERDICT_COLUMNS, tables.verdict_cells(made.findings))
        ),
        *([page.section("Measured, not plotted", *measured_tables(made.measured))] if made.measured else []),
        page.section("All records", page.note(_RECORDS), *_records(points)),
        page.section("Missing", missing_table(made.missing)),
    ]
    return page.document(f"shelfcam: weight and latency, {machine_name(made.host)}", body)


_RULE = (
    f"A quantity explains as much as the R² of the straight line between its logarithm and that of the median latency. The weight is "
    f"said to decide where that is at least {R2_MIN:.0%}, the 95 % bootstrap interval begins at {R2_LOW_MIN:.0%} or more, "
    f"heavier is slower, and neither multiply-accumulates nor the bytes of the activations explain clearly more. Over all networks and "
    f"under 20 MB, whole families are drawn for the interval: the widths of one network are no independent networks. Within families, each "
    f"family's mean is taken off first. Networks for pictures smaller than 64 pixels are in the tables alone."
)
_NUMBERS = (
    "Correlation with the median latency, each with its 95 % bootstrap interval. Slope: of the logarithms, 1 where twice "
    "the quantity takes twice the time. R² over weight: how much more than the weight a predictor explains."
)
_RECORDS = (
    "÷ peak: the share that a network achieves of the multiply-accumulates a second of one large convolution with the same runtime, "
    "precision and threads; act.: what the layers write for one picture. Families, versions and memory are in records.csv."
)


def _pictures(points: Sequence[Point]) -> dict[str, Plot]:
    """ "weight-1t" → the plot of latency against weight with one thread; likewise the other axes, and the front."""
    pictures = {}
    for threads in sorted({p.threads for p in points}):
        every = _drawn(points, threads)
        some = largest(every)
        panels = {runtime: [p for p in some if p.runtime == runtime] for runtime in sorted({p.runtime for p in some})}
        for key, axis in AXES.items():
            if any(axis.of(p) for p in some):
                pictures[f"{key}-{threads}t"] = latency_plot(panels, axis)
        if every:
            pictures[f"front-{threads}t"] = front_plot(every)
    return pictures


def _plots(points: Sequence[Point], pictures: Mapping[str, Plot]) -> list[str]:
    from export.report import page

    parts = []
    for threads in sorted({p.threads for p in points}):
        count = threads_in_words(threads)
        for key, axis in AXES.items():
            if picture := pictures.get(f"{key}-{threads}t"):
                caption = f"latency against {axis.title}, {count}: {LATENCY}{sizes_words(_drawn(points, threads))}."
                parts.append(page.section(f"Latency against {axis.title}, {count}", figure_of(picture, caption)))
        if picture := pictures.get(f"front-{threads}t"):
            parts.append(page.section(f"What nothing else beats, {count}", *_front(picture, _drawn(points, threads))))
    return parts


def _front(picture: Plot, points: Sequence[Point]) -> list[str]:
    from export.report import page

    limit = LIMIT_BYTES / 1e6
    parts = [figure_of(picture, f"size against latency; the dashed line is {limit:g} MB.")]
    columns = ["network", "candidate", ">threads", "input", ">MB", ">p50 ms", ">accuracy", f"fits {limit:g} MB"]
    for title, best in (("size and latency", front(points)), ("size, latency and accuracy", accurate_front(points))):
        if not best:
            parts.append(page.note("No accuracy is known of any network, so there is no front with accuracy."))
            continue
        rows = [
            [p.network, p.candidate, str(p.threads), p.size, tables.number(p.mb, 2), tables.number(p.p50_ms, 2),
             tables.NONE if p.accuracy is None else f"{p.accuracy:.1%}", "yes" if p.fits else "no"]
            for p in best
        ]  # fmt: skip
        parts += [page.note(f"The front of {title}:"), tables.html_table(columns, rows)]
    return parts


def _drawn(points: Sequence[Point], threads: int) -> list[Point]:
    """Of every input size."""
    return [p for p in comparable(points) if p.threads == threads]


def _records(points: Sequence[Point]) -> list[str]:
    """One table a runtime and thread count."""
    parts = []
    for threads, runtime in sorted({(p.threads, p.runtime) for p in points}):
        some = [p for p in points if (p.threads, p.runtime) == (threads, runtime)]
        parts.append(f"<h3>{escape(runtime)}, {threads_in_words(threads)}</h3>")
        parts.append(_table(tables.POINT_COLUMNS, tables.point_cells(some)))
    return parts


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """That scrolls by itself where the window is narrow."""
    return f'<div style="overflow-x: auto; font-size: .88rem">{tables.html_table(columns, rows)}</div>'


def _seed() -> list[tuple[str, float | None]]:
    from benchmarks.zoo.export_table import seed_networks, seed_weights

    weights = seed_weights()
    return [(name, weights.get(name)) for name in seed_networks()]


def _aliases() -> dict[str, str]:
    from export.load.zoo_table import ENTRIES

    return {entry.name: entry.seed_name for entry in ENTRIES if entry.seed_name is not None}
