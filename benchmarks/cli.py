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
    app.command(bench)
