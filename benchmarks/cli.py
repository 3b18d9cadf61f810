"""``shelfcam bench …``. Commands are imported when called; nothing heavy is imported here."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "loop": "benchmarks.loop:loop",
    "latency": "benchmarks.latency_cli:latency_command",
    "zoo": "benchmarks.zoo_cli:zoo_command",
    "compare": "benchmarks.compare:compare_command",
    "shelf": "benchmarks.shelf:shelf_command",
    "soak": "benchmarks.soak:soak_command",
    "export": "benchmarks.export_cost:export_command",
    "report": "benchmarks.report.cli:report_command",
    "merge": "benchmarks.report.cli:merge_command",
    "check": "benchmarks.check_cli:check_command",
}
"""Name → ``module:function``; the help is the function's docstring."""


def register(app: App) -> None:
    """Add the sub-app ``bench``. Named in the entry-point group ``shelfcam.commands``."""
    bench = App(name="bench", help="Measure this machine: how fast, how small, beside what.")
    for name, function in COMMANDS.items():
        bench.command(function, name=name)
    app.command(bench)
