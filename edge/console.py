"""What people see (standard error) and what programs read (standard output). Rich is imported only when something is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def stderr() -> Console:
    """The console for people; plain text where standard error is no terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """For results that people asked for; a table that is piped keeps its width."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def print_json(result: Any) -> None:
    """One JSON document on standard output."""
    encoded = msgspec.json.format(msgspec.json.encode(result), indent=2)
    sys.stdout.flush()
    sys.stdout.buffer.write(encoded + b"\n")
    sys.stdout.buffer.flush()


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, console: Console | None = None
) -> None:
    """A table for people; columns whose name starts with ">" are right-aligned."""
    from rich.table import Table
    from rich.text import Text

    out = console or stdout()
    out.print(title, style="bold", soft_wrap=True, markup=False)
    table = Table()
    for name in columns:
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    out.print(table)


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress bars with time left, on standard error; nothing where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr(), transient=True) as bars:
        yield bars


class Bars:
    """Starts a bar a step: called with a description and a total, it gives a function that advances the bar by one."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def __call__(self, description: str, total: int) -> Callable[[], None]:
        """Start one."""
        bar = self._bars.add_task(description, total=total)
        return lambda: self._bars.update(bar, advance=1)


def milliseconds(value: float | None) -> str:
    """ "–" for None, else two decimals."""
    return "–" if value is None else f"{value:.2f}"


def ratio(value: float | None) -> str:
    """ "–" for None, else three decimals."""
    return "–" if value is None else f"{value:.3f}"
