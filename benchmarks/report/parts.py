"""Parts that the pages of one machine and of many share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.record.conditions import BUSY, disturbed_share, in_words
from benchmarks.record.spec import Conditions, Host, Missing, Report
from benchmarks.report import tables
from benchmarks.report.plots import Picture
from benchmarks.report.points import Point, largest

LATENCY = "lines lead up from the median to p99, with a tick at p90; a family is joined; of a network's marks one may have the name alone"


def sizes_words(points: Sequence[Point]) -> str:
    """For a caption: which input sizes are drawn, where a network was measured at several."""
    return "; each network at its largest input, all sizes are in the tables" if len(largest(points)) < len(points) else ""


def figure_of(picture: Picture, caption: str) -> str:
    """A plot inside the page."""
    from export.report import page

    count = picture.unnamed
    room = f" Without room for {'its name' if count == 1 else 'their names'}: {count}." if count else ""
    return page.figure(picture.png, caption + room)


def host_facts(host: Host, conditions: Conditions, runtimes: Sequence[str]) -> dict[str, str]:
    """The machine and what disturbed it, in words."""
    return {
        "Board": f"{host.board}, {host.cpu}",
        "CPU features": " ".join(host.features) or "none known",
        "System": f"{host.kernel}, governor {host.governor}",
        "Runtimes": ", ".join(runtimes),
        "Conditions": in_words(conditions),
    }


def warnings(report: Report) -> list[str]:
    """What a reader must know before quoting a figure."""
    found = []
    if report.quick:
        found.append("A quick measurement: fewer rounds and queries than a figure to be quoted needs.")
    if disturbed_share(report.conditions) is not None:
        found.append(BUSY)
    stands = sorted({r.simulated_device for r in report.records if r.simulated_device})
    if stands:
        found.append(f"Not the real device: {', '.join(stands)} stood in for it.")
    return found


def runtimes_of(points: Sequence[Point]) -> list[str]:
    """Name and version of each."""
    return sorted({f"{p.runtime} {p.version}" for p in points})


def missing_table(missing: Sequence[Missing]) -> str:
    """What was asked for and is not there."""
    from export.report import page

    if not missing:
        return page.note("Everything that was asked for was measured.")
    return tables.html_table(["what", "why"], [[m.name, m.reason] for m in missing])


def definitions(facts: Mapping[str, str]) -> str:
    """A list of terms."""
    return "<dl>" + "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items()) + "</dl>"
