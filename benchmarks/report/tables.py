"""Rows of the report's tables: numbers for JSON and CSV, and the same in words for the page. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

from benchmarks.record.schema import threads_in_words
from benchmarks.report.findings import SCOPES, Finding
from benchmarks.report.points import Point

POINT_COLUMNS = (
    "network", "candidate", "input", ">MB", ">M weights", ">M MACs", ">act. MB", ">p50 ms", ">p90", ">p99", ">max", ">queries", ">÷ peak",
    ">accuracy",
)  # fmt: skip
VERDICT_COLUMNS = (
    "measured with", "among", ">networks", "predictor", ">Spearman", ">log-log R²", ">slope", ">R² over weight", "the weight",
)  # fmt: skip
CALLS = {
    "decides": "decides speed",
    "goes along": "goes along with it",
    "does not": "does not decide it",
    "too few": "too few networks or families",
}
NONE = "–"


@dataclass(frozen=True, slots=True)
class SeedRow:
    """A network of the seed's table beside what was measured at ``threads``; what was not is null."""

    network: str
    seed_mb: float | None
    measured_as: str | None = None
    fp32_mb: float | None = None
    int8_mb: float | None = None
    fp32_p50_ms: float | None = None
    int8_p50_ms: float | None = None
    fp32_runtime: str | None = None
    int8_runtime: str | None = None
    threads: int | None = None


def seed_rows(points: Sequence[Point], seed: Sequence[tuple[str, float | None]], aliases: Mapping[str, str]) -> list[SeedRow]:
    """A row for each network of the seed that was measured, and one for each that was not.

    Args:
        points: measured ones; of a precision the file with the lowest median counts, at the fewest threads measured.
        seed: name and MB, as the table gives them.
        aliases: the zoo's name of a network → the seed's; several may share one.
    """
    threads = min((p.threads for p in points), default=None)
    rows = []
    for name, megabytes in seed:
        mine = [p for p in points if p.threads == threads and aliases.get(p.network, p.network) == name]
        for network in dict.fromkeys(p.network for p in mine):
            own = [p for p in mine if p.network == network]
            fp32, int8 = (
                min((p for p in own if p.precision == kind), key=lambda p: p.p50_ms, default=None) for kind in ("fp32", "int8")
            )
            rows.append(
                SeedRow(
                    network=name,
                    seed_mb=megabytes,
                    measured_as=network,
                    fp32_mb=fp32.mb if fp32 else None,
                    int8_mb=int8.mb if int8 else None,
                    fp32_p50_ms=fp32.p50_ms if fp32 else None,
                    int8_p50_ms=int8.p50_ms if int8 else None,
                    fp32_runtime=fp32.runtime if fp32 else None,
                    int8_runtime=int8.runtime if int8 else None,
                    threads=threads,
                )
            )
        if not mine:
            rows.append(SeedRow(network=name, seed_mb=megabytes))
    return rows


def seed_cells(rows: Sequence[SeedRow]) -> list[list[str]]:
    """In the order of SEED_COLUMNS. The ratio to the seed's weight stands at the variant that comes nearest to it alone: the seed names
    no width."""
    nearest: dict[str, tuple[float, str | None]] = {}
    for r in rows:
        if r.seed_mb and r.fp32_mb:
            distance = abs(math.log(r.fp32_mb / r.seed_mb))
            nearest[r.network] = min(nearest.get(r.network, (math.inf, None)), (distance, r.measured_as))
    cells = []
    for r in rows:
        mine = r.network in nearest and nearest[r.network][1] == r.measured_as
        ratio = f"{r.fp32_mb / r.seed_mb:.2f}" if mine and r.fp32_mb and r.seed_mb else NONE
        figures = [number(value, 2) for value in (r.fp32_mb, r.int8_mb)]
        times = [number(value, 2) for value in (r.fp32_p50_ms, r.int8_p50_ms)]
        runtimes = [runtime or NONE for runtime in (r.fp32_runtime, r.int8_runtime)]
        head = [r.network, number(r.seed_mb, 1), r.measured_as or "not measured"]
        cells.append([*head, *figures, ratio, times[0], runtimes[0], times[1], runtimes[1]])
    return cells


def seed_note(rows: Sequence[SeedRow]) -> str:
    """What the sizes and times of the table are of."""
    threads = next((r.threads for r in rows if r.threads is not None), None)
    if threads is None:
        return "None of these networks was measured."
    return (
        f"Size and median of a precision are of one and the same file: the one with the lowest median, with the runtime beside it "
        f"and {threads_in_words(threads)}."
    )


SEED_COLUMNS = (
    "network of the seed", ">MB in the seed", "measured as", ">fp32 MB", ">int8 MB", ">fp32 ÷ seed", ">fp32 p50 ms", "with", ">int8 p50 ms",
    "with",
)  # fmt: skip


def point_cells(points: Sequence[Point]) -> list[list[str]]:
    """In the order of POINT_COLUMNS, of each precision the lightest first."""
    rows = []
    for p in sorted(points, key=lambda p: (p.precision, p.bytes)):
        activation = None if p.activation_bytes is None else p.activation_bytes / 1e6
        share = NONE if p.peak_share is None else f"{p.peak_share:.0%}"
        accuracy = NONE if p.accuracy is None else f"{p.accuracy:.1%}"
        times = [number(value, 2) for value in (p.p50_ms, p.p90_ms, p.p99_ms, p.max_ms)]
        facts = [number(p.mb, 2), number(p.params / 1e6, 2), number(p.macs / 1e6, 1), number(activation, 2)]
        head = [p.network, p.candidate, p.size]
        rows.append([*head, *facts, *times, f"{p.queries:,}", share, accuracy])
    return rows


def point_numbers(points: Sequence[Point]) -> list[dict[str, object]]:
    """One flat mapping a point, without its rounds: for CSV and JSON."""
    rows = []
    for point in points:
        row = asdict(point)
        del row["rounds"]
        rows.append(row)
    return rows


def verdict_cells(found: Sequence[Finding]) -> list[list[str]]:
    """In the order of VERDICT_COLUMNS; what is the same as in the row above is left empty."""
    rows: list[list[str]] = []
    shown = None
    ordered = sorted(found, key=lambda f: (f.group.words(), f.family is not None, SCOPES.index(f.scope), f.family or ""))
    for f in ordered:
        among = f.scope if f.family is None else f"family {f.family}"
        head = ["" if f.group == shown else f.group.words(), among, str(f.networks)]
        shown = f.group
        call = "" if f.call is None else CALLS[f.call]
        lines = [[*head, *[NONE] * 5, call]]
        for place, fit in enumerate(f.fits):
            gain = NONE if fit.gain is None else f"{fit.gain.value:+.2f} ({fit.gain.low:+.2f} to {fit.gain.high:+.2f})"
            cells = [fit.predictor, fit.spearman.words(), fit.r2.words(), f"{fit.slope:.2f}", gain]
            line = [*(head if place == 0 else ["", "", ""]), *cells, call if place == 0 else ""]
            lines = [line] if place == 0 else [*lines, line]
        rows += lines
    return rows


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns whose name starts with ">" are right-aligned; every text is escaped."""
    kinds = [' class="n"' if name.startswith(">") else "" for name in columns]
    head = "".join(f"<th{kind}>{escape(name.lstrip('>'))}</th>" for kind, name in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def number(value: float | None, digits: int) -> str:
    """With thousands separated; fewer digits for what is large, more for what would be 0."""
    if value is None:
        return NONE
    if value and abs(value) < 10**-digits:
        return f"{value:.2g}"
    return f"{value:,.{max(0, digits - 1) if abs(value) >= 100 else digits}f}"
