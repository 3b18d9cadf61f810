"""The zoo's timings for people: one line a candidate, what is missing with its reason, and how far it has come meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from benchmarks.measure.peak import BENCH as PEAK
from benchmarks.measure.peak import macs_per_s, share_of_peak
from benchmarks.record.conditions import show_conditions
from benchmarks.record.spec import Record, Report
from benchmarks.zoo.time import Unit
from edge import console

_COLUMNS = ["network", "input", "candidate", ">t", ">MB", ">MMAC", ">acts MB", ">p50", ">p90", ">p99", ">GMAC/s", ">of peak"]
"""t: threads; acts MB: what all layers write for one crop (``benchmarks.measure.activations``)."""


def show(report: Report) -> None:
    """Tables on standard output."""
    peaks = [record for record in report.records if record.bench == PEAK]
    others = [record for record in report.records if record.bench != PEAK]
    if peaks:
        show_peaks(peaks)
    quick = " (quick: fewer queries than a figure to quote needs)" if report.quick else ""
    console.print_table(f"Zoo, ms{quick}", _COLUMNS, [_line(record, share_of_peak(record, peaks)) for record in others])
    show_missing(report)
    show_conditions(report)


def show_peaks(peaks: Sequence[Record]) -> None:
    """What the machine reaches on large convolutions."""
    rows = [
        (r.runtime.name, r.model.candidate, r.runtime.threads, r.model.model, f"{macs_per_s(r) / 1e9:.1f}", _ms(r.p50_ms))
        for r in peaks
    ]
    console.print_table("Peak", ["runtime", "numbers", ">threads", "reached on", ">GMAC/s", ">p50, ms"], rows)


def show_missing(report: Report) -> None:
    """What was asked for and is not there."""
    if report.missing:
        console.print_table("Missing", ["what", "why"], [(one.name, one.reason) for one in report.missing])


def _line(record: Record, share: float | None) -> tuple[object, ...]:
    model = record.model
    written = "–" if model.activation_bytes is None else f"{model.activation_bytes / 1e6:.2f}"
    sizes = (f"{model.bytes / 1e6:.2f}", f"{model.macs / 1e6:.1f}", written)
    times = (_ms(record.p50_ms), _ms(record.p90_ms), _ms(record.p99_ms), f"{macs_per_s(record) / 1e9:.2f}")
    reached = "–" if share is None else f"{share:.0%}"
    name = model.network or model.model
    return (name, _pixels(model.input), model.candidate, record.runtime.threads, *sizes, *times, reached)


def _pixels(shape: str) -> str:
    """ "1×224×224×3 uint8 …" or "1×3×224×224 float32 …" → "224×224"."""
    lengths = shape.partition(" ")[0].split("×")[1:]
    return "×".join(lengths[:2] if lengths[-1] == "3" else lengths[-2:])


def _ms(value: float | None) -> str:
    return console.milliseconds(value)


class ShowProgress:
    """``zoo_time.Say`` on standard error: a bar over networks and one over the processes of this one where that is a terminal, a line a
    network everywhere, so that a log tells how far a run of hours has come."""

    def __init__(self, units: int, already: int) -> None:
        self._units, self._already, self._done = units, already, 0
        self._start_s = time.monotonic()
        self._progress = console.progress()

    def __enter__(self) -> ShowProgress:
        self._bars = self._progress.__enter__()
        self._all = self._bars.add_task("zoo", total=self._units, completed=self._already)
        self._one = self._bars.add_task("", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._progress.__exit__(kind, error, trace)

    def unit(self, key: str, processes: int) -> None:
        """A unit's timing begins."""
        self._bars.reset(self._one, description=key, total=processes + 1)

    def step(self, what: str) -> None:
        """A process, or an export, begins."""
        self._bars.update(self._one, description=what, advance=1)

    def done(self, unit: Unit) -> None:
        """A line: what was found and how long the rest may take, if the others are like those so far."""
        self._done += 1
        self._bars.update(self._all, advance=1)
        left = self._units - self._already - self._done
        left_s = (time.monotonic() - self._start_s) / self._done * left
        times = ", ".join(f"{r.model.candidate} {r.runtime.threads}t {_ms(r.p50_ms)} ms" for r in unit.records)
        gone = f"; {len(unit.missing)} missing: {unit.missing[0].reason[:100]}" if unit.missing else ""
        count = f"[{self._already + self._done}/{self._units}]"
        self._bars.console.print(
            f"{count} {unit.key}: {times or 'nothing'}{gone} (about {left_s / 60:.0f} min left)", soft_wrap=True, markup=False
        )
