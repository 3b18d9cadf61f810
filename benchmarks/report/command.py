"""``shelfcam bench report`` and ``shelfcam bench merge`` as commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.record.schema import read_report
from edge import console
from edge.commands import options
from edge.errors import UsageError

OutOption = Annotated[Path, Parameter(name="--out", help="Directory for index.html and the files beside it.")]


def report_command(
    report: Annotated[Path, Parameter(help="Report of bench zoo or bench latency, as --json prints it.")],
    /,
    *,
    out: OutOption,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Does the number of weights decide speed? Tables, plots and a verdict from one machine's measurements.

    Writes records.csv, findings.json and index.html, one page that needs nothing from outside. Drawing needs the extra ``export``.

    **Examples**

        shelfcam bench report out/zoo/report.json --out out/zoo/page
        shelfcam bench report out/latency.json --out out/page --force --json
    """
    from benchmarks.report.pages import PAGE
    from benchmarks.report.write import write_report

    read = read_report(report)
    with console.stderr().status("drawing"):
        made = write_report(read, out, name=report.name, replace=force, inputs=[report])
    if json:
        console.print_json(made)
        return
    for words in made.sentences:
        console.stdout().print(words, soft_wrap=True, markup=False)
    console.stderr().print(
        f"{out / PAGE}: {len(made.points)} records, {len(made.missing)} missing", soft_wrap=True, markup=False
    )


def merge_command(
    reports: Annotated[list[Path], Parameter(help="Reports of bench zoo or bench latency, one a machine.")],
    /,
    *,
    out: OutOption,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """One report from many machines: their curves side by side, and which candidate to ship to which.

    Two runs of one board are both shown, told apart by the names of their files. Writes records.csv, ship.csv, fleet.json and
    index.html.

    **Examples**

        shelfcam bench merge results/*.json --out out/fleet
        shelfcam bench merge pi4.json pi5.json orin.json --out out/fleet --json
    """
    from benchmarks.report.fleet_write import write_fleet
    from benchmarks.report.pages import PAGE

    if len({path.resolve() for path in reports}) < len(reports):
        raise UsageError("bench merge: a report is named twice", fix="name each once")
    read = {str(path): read_report(path) for path in reports}
    with console.stderr().status("drawing"):
        made = write_fleet(read, out, replace=force)
    if json:
        console.print_json(made)
        return
    columns = ["network", "input", "board", "ship", ">p90 ms", ">MB", "as fast, within the noise"]
    rows = []
    for one in made.ship:
        candidate = "nothing fits" if one.candidate is None else f"{one.candidate}, {one.threads}t"
        megabytes = "–" if one.bytes is None else f"{one.bytes / 1e6:.2f}"
        head = (one.network, one.size, one.board, candidate)
        rows.append((*head, console.milliseconds(one.p90_ms), megabytes, "; ".join(one.ties)))
    console.print_table("Which candidate to ship", columns, rows)
    console.stderr().print(f"{out / PAGE}: {len(made.boards)} boards", soft_wrap=True, markup=False)
