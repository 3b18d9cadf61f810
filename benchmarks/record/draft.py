"""A report while it is measured, and its progress for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from benchmarks.record import targets
from benchmarks.record.host import Busyness, conditions_between, read_busyness
from benchmarks.record.schema import Check, Missing, Ratio, Record, Report
from edge import console

R = TypeVar("R", bound=Report)

Say = Callable[[str], None]
"""Called with what is being done."""


@dataclass(slots=True)
class ReportDraft:
    """Begin it just before the first measurement: what disturbs counts from then on."""

    records: list[Record] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    _before: Busyness = field(default_factory=read_busyness)

    def judge(self, ratio: Ratio, sense: targets.Sense, limit: float) -> None:
        """Add a ratio and hold it against its target."""
        self.ratios.append(ratio)
        self.checks.append(targets.check_ratio(ratio, sense, limit))

    def finish(self, kind: type[R], bench: str, *, quick: bool, **more: Any) -> R:
        """The report, just after the last measurement; ``more``: what a bench adds to it."""
        return kind(
            bench=bench,
            quick=quick,
            records=tuple(self.records),
            ratios=tuple(self.ratios),
            checks=tuple(self.checks),
            conditions=conditions_between(self._before, read_busyness()),
            missing=tuple(self.missing),
            **more,
        )


class ProgressBar:
    """On standard error: a bar where that is a terminal, with what is being done beside it; lines that stay, everywhere. A context
    manager.

    Args:
        text: what is done first.
        total: how long the bar is, in whatever it is advanced by; None where nobody knows.
    """

    def __init__(self, text: str = "", *, total: float | None = None) -> None:
        self._text, self._total = text, total
        self._shown = console.progress()

    def __enter__(self) -> ProgressBar:
        self._bars = self._shown.__enter__()
        self._bar = self._bars.add_task(self._text, total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shown.__exit__(kind, error, trace)

    def now(self, text: str) -> None:
        """What is being done."""
        self._bars.update(self._bar, description=text)

    def step(self, text: str) -> None:
        """What is being done, one step further."""
        self._bars.update(self._bar, description=text, advance=1)

    def advance(self) -> None:
        """One step is done."""
        self._bars.update(self._bar, advance=1)

    def at(self, completed: float, total: float | None = None) -> None:
        """How far it has come."""
        self._bars.update(self._bar, completed=completed, total=self._total if total is None else total)

    def line(self, text: str) -> None:
        """A line that stays."""
        self._bars.console.print(text, soft_wrap=True, markup=False)

    def both(self, text: str) -> None:
        """What is being done, as a line that stays too."""
        self.now(text)
        self.line(text)
