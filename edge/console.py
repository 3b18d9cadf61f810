"""What people see (standard error) and what programs read (standard output). Rich is imported only when something is shown."""

from __future__ import annotations

import copy
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from edge.text import json_text, safe_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task
    from rich.text import Text


def stderr() -> Console:
    """The console for people; plain text where standard error is no terminal."""
    return _console(stderr=True)


def stdout() -> Console:
    """For results that people asked for; a table that is piped keeps its width."""
    return _console(width=None if sys.stdout.isatty() else 120)


def wide(columns: int) -> Console:
    """As ``stdout``, with so many columns where it is piped."""
    return _console(width=None if sys.stdout.isatty() else columns)


def styled(text: object, style: str) -> Text:
    """A part of what a console prints, in ``style``."""
    from rich.text import Text

    return Text(safe_text(text), style=style)


def print_line(text: str) -> None:
    """One line on standard output, as wide as it is; line breaks in it and whatever a terminal could obey are escaped."""
    print(safe_text(text))  # noqa: T201 - here everything that is printed passes


def print_error(text: str) -> None:
    """``print_line`` on standard error, at once. Line breaks stay: an error of several lines has escaped those of its parts."""
    print(safe_text(text, keep="\n"), file=sys.stderr, flush=True)  # noqa: T201


def log_to_stderr() -> None:
    """Set up logging and what becomes of errors that nobody caught: everything is said on standard error, and passes ``safe_text``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    sys.excepthook = lambda kind, error, trace: print_error("".join(traceback.format_exception(kind, error, trace)).rstrip())
    threading.excepthook = _thread_died


class LogFormatter(logging.Formatter):
    """One line a message: what it quotes cannot begin another, nor speak to the terminal, nor give a secret away."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback if there is one."""
        said = copy.copy(record)
        said.msg, said.args, said.exc_text = safe_text(record.getMessage()), None, None
        return super().format(said)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """A traceback, whose line breaks stay."""
        return safe_text(super().formatException(ei), keep="\n")

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """As ``formatException``."""
        return safe_text(stack_info, keep="\n")


def _thread_died(died: threading.ExceptHookArgs) -> None:
    lines = traceback.format_exception(died.exc_type, died.exc_value, died.exc_traceback)
    print_error(f"in the thread {died.thread.name if died.thread else 'unknown'}:\n{''.join(lines).rstrip()}")


def _console(**settings: Any) -> Console:
    """A console that shows text as it is: brackets are no markup, ``:smile:`` is no picture, and control characters, line breaks too, are
    escaped. What shall be styled comes as rich's Text, made of escaped parts."""
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **styles: Any) -> Text:
            settled = {key: value for key, value in styles.items() if key in ("style", "justify", "overflow")}
            return super().render_str(safe_text(text), markup=False, emoji=False, highlight=False, **settled)

    return Plain(highlight=False, markup=False, emoji=False, **settings)


def print_json(result: Any) -> None:
    """One JSON document on standard output; what a terminal could obey is written as JSON escapes."""
    try:
        encoded = json_text(msgspec.json.format(msgspec.json.encode(result), indent=2))
    except UnicodeEncodeError:  # the name of a file that is no UTF-8, which JSON can only write as an escape
        encoded = json.dumps(msgspec.to_builtins(result), ensure_ascii=True, indent=2).encode("ascii")
    sys.stdout.flush()
    sys.stdout.buffer.write(encoded + b"\n")
    sys.stdout.buffer.flush()


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, console: Console | None = None
) -> None:
    """A table for people; columns whose name starts with ">" are right-aligned. Nothing without rows."""
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    if not rows:
        return
    out = console or stdout()
    out.print(title, style="bold", soft_wrap=True)
    table = Table()
    for name in columns:
        table.add_column(Text(safe_text(name.lstrip(">"))), justify="right" if name.startswith(">") else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(safe_text(cell)) for cell in row))
    out.print(table)


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress bars with time left, on standard error; nothing where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Described(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(safe_text(task.description))

    class Counted(MofNCompleteColumn):
        def render(self, task: Task) -> Text:
            return Text() if task.total is None else super().render(task)

    columns = (Described(""), BarColumn(), Counted(), TimeRemainingColumn())
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
