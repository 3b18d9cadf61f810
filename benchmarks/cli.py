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
        "benchmarks.soak:soak_command",
        name="soak",
        help="The real service while everything goes wrong at random: loss, invention, leaks.",
    )
    app.command(bench)
