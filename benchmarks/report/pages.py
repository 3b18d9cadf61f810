"""What the pages of one machine and of many share: their directory, replaced whole while the measurements that they were made from stay
where they were, and parts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

from benchmarks.record.schema import Conditions, Host, Missing, Report
from benchmarks.record.show import BUSY, disturbed_share, in_words
from benchmarks.report import tables
from benchmarks.report.plots import Plot
from benchmarks.report.points import Point, largest
from edge.errors import SinkError
from edge.files import staged_directory

PAGE = "index.html"
LATENCY = "lines lead up from the median to p99, with a tick at p90; a family is joined; of a network's marks one may have the name alone"


@contextmanager
def staged_page(out: Path, inputs: Iterable[Path], *, replace: bool) -> Iterator[Path]:
    """As ``staged_directory``: a new directory that takes the place of ``out``. Files of ``inputs`` that lie inside ``out`` go along.

    Raises:
        SinkError: as there; or a file that was written is called like one of ``inputs``, which then stays.
    """
    with staged_directory(out, mark=PAGE, replace=replace) as stage:
        yield stage
        for path in inputs:
            for inside in _inside(path, out):
                kept = stage / inside
                if kept.exists():
                    raise SinkError(
                        f"{out / inside}: is measured data, and the page has a file of that name",
                        fix="rename it, or another --out",
                    )
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, kept)


def sizes_words(points: Sequence[Point]) -> str:
    """For a caption: which input sizes are drawn, where a network was measured at several."""
    return "; each network at its largest input, all sizes are in the tables" if len(largest(points)) < len(points) else ""


def figure_of(picture: Plot, caption: str) -> str:
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


def _inside(path: Path, out: Path) -> set[Path]:
    """Where in ``out`` the file lies, if it does: under its own name, and, of a link, under that of the file it leads to."""
    root = out.resolve()
    return {
        place.relative_to(root)
        for place in (path.parent.resolve() / path.name, path.resolve())
        if path.is_file() and place.is_relative_to(root)
    }
