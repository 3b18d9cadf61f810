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
    bench.command("benchmarks.latency_cli:latency_command", name="latency")
    bench.command("benchmarks.zoo_cli:zoo_command", name="zoo")
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
    # their help is the docstring, with its examples
    bench.command("benchmarks.report.cli:report_command", name="report")
    bench.command("benchmarks.report.cli:merge_command", name="merge")
    bench.command("benchmarks.check_cli:check_command", name="check")
    bench.command(
        "benchmarks.compare:compare_command",
        name="compare",
        help="Our loop and backend beside other runtimes on the same network: MediaPipe, OpenVINO, ncnn and others.",
    )
    bench.command(
        "benchmarks.soak:soak_command",
        name="soak",
        help="The real service while everything goes wrong at random: loss, invention, leaks.",
    )
    app.command(bench)
