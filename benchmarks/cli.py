"""``shelfcam bench …``. Commands are imported when called; nothing heavy is imported here."""

from __future__ import annotations

from cyclopts import App


def register(app: App) -> None:
    """Add the sub-app ``bench``. Named in the entry-point group ``shelfcam.commands``."""
    bench = App(name="bench", help="Measure this machine: how fast, how small, beside what.")
    bench.command(
        "benchmarks.loop:loop",
        name="loop",
        help="The camera loop beside its bare backend: speed, start, memory, size of the model.",
    )
    bench.command(
        "benchmarks.zoo_cli:zoo_command",
        name="zoo",
        help="Every network of the zoo: does it fit into a camera, in 8 bits, for both runtimes?",
    )
    bench.command(
        "benchmarks.export_cost:export_command",
        name="export",
        help="What an export costs: wall time, CPU time and peak memory.",
    )
    bench.command(
        "benchmarks.shelf:shelf_command",
        name="shelf",
        help="Events of scripted shelves against the truth, and what an idle shelf costs.",
    )
    bench.command(
        "benchmarks.report.cli:report_command",
        name="report",
        help="Does the number of weights decide speed? Tables, plots and a verdict from one machine's measurements.",
    )
    bench.command(
        "benchmarks.report.cli:merge_command",
        name="merge",
        help="One report from many machines: curves side by side, and which candidate to ship to which.",
    )
    bench.command(
        "benchmarks.check_cli:check_command",
        name="check",
        help="Has this machine become slower than its baseline, beyond the noise of both runs?",
    )
    app.command(bench)
