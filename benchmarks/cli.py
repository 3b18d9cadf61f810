"""``shelfcam bench …``. Commands are imported when called; nothing heavy is imported here."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "loop": "benchmarks.loop.command:loop_command",
    "latency": "benchmarks.latency.command:latency_command",
    "zoo": "benchmarks.zoo.command:zoo_command",
    "compare": "benchmarks.peers.command:compare_command",
    "shelf": "benchmarks.shelf.command:shelf_command",
    "soak": "benchmarks.soak.command:soak_command",
    "export": "benchmarks.export.command:export_command",
    "report": "benchmarks.report.command:report_command",
    "merge": "benchmarks.report.command:merge_command",
    "check": "benchmarks.check.command:check_command",
}
"""Name → ``module:function``; the help is the function's docstring."""


def register(app: App) -> None:
    """Add the sub-app ``bench``. Named in the entry-point group ``shelfcam.commands``."""
    bench = App(name="bench", help="Measure this machine: how fast, how small, beside what.")
    for name, function in COMMANDS.items():
        bench.command(function, name=name)
    app.command(bench)
