"""The zoo for people: a line a candidate, what is missing with its reason, how networks were exported, how far a run has come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from benchmarks.measure.peak import macs_per_s, show_beside_peaks
from benchmarks.record.facts import picture_sides
from benchmarks.record.schema import Record, Report
from benchmarks.record.show import show_conditions, show_missing
from benchmarks.zoo.export_table import BYTES_PER_MB, NetworkExport, seed_networks
from benchmarks.zoo.timings import Unit
from edge import console

_COLUMNS = ["network", "input", "candidate", ">t", ">MB", ">MMAC", ">acts MB", ">p50", ">p90", ">p99", ">GMAC/s", ">of peak"]
"""t: threads; acts MB: what all layers write for one crop (``benchmarks.measure.activations``)."""


def show_timings(report: Report) -> None:
    """Tables on standard output."""
    show_beside_peaks(report, "Zoo, ms", _COLUMNS, _line)
    show_missing(report)
    show_conditions(report)


def _line(record: Record, share: float | None) -> tuple[object, ...]:
    model = record.model
    written = "–" if model.activation_bytes is None else f"{model.activation_bytes / 1e6:.2f}"
    sizes = (f"{model.bytes / 1e6:.2f}", f"{model.macs / 1e6:.1f}", written)
    times = [console.milliseconds(value) for value in (record.p50_ms, record.p90_ms, record.p99_ms)]
    reached = "–" if share is None else f"{share:.0%}"
    sides = "×".join(map(str, picture_sides(model.input)))
    head = (model.network or model.model, sides, model.candidate, record.runtime.threads)
    return (*head, *sizes, *times, f"{macs_per_s(record) / 1e9:.2f}", reached)


def show_exports(rows: Sequence[NetworkExport]) -> None:
    """One line a network."""
    lines = []
    for row in rows:
        sizes = {exported.candidate: f"{exported.bytes / BYTES_PER_MB:.2f}" for exported in row.candidates}
        shares = min((exported.int8_mac_share for exported in row.candidates), default=None)
        cosines = min((exported.logit_cosine for exported in row.candidates), default=None)
        lines.append(
            (
                row.name,
                row.network or "",
                f"{row.parameters / 1e6:.2f}",
                "–" if row.seed_mb is None else f"{row.seed_mb:g}",
                f"{row.weights_mb:.1f}",
                next((size for name, size in sizes.items() if name.startswith("onnx")), "–"),
                next((size for name, size in sizes.items() if name.startswith("tflite")), "–"),
                "–" if shares is None else f"{shares:.0%}",
                "–" if cosines is None else f"{cosines:.4f}",
                "–" if row.runtimes_cosine is None else f"{row.runtimes_cosine:.4f}",
                row.status + (f": {row.reason}" if row.reason else ""),
            )
        )
    columns = ["name", "network", ">M weights", ">MB in seed", ">fp32 MB", ">ONNX MB", ">TFLite MB", ">8-bit", ">cosine"]
    console.print_table("Zoo", [*columns, ">ONNX to TFLite", "status"], lines)
    missing = [name for name in seed_networks() if all(row.network != name for row in rows)]
    exported = sum(row.status == "exported" for row in rows)
    console.stdout().print(f"{exported} of {len(rows)} exported" + (f"; not tried: {', '.join(missing)}" if missing else ""))


class ShowProgress:
    """``benchmarks.zoo.timings.UnitProgress`` on standard error: a bar over networks and one over the processes of this one where that is a
    terminal, a line a network everywhere, so that a log tells how far a run of hours has come."""

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
        times = ", ".join(f"{r.model.candidate} {r.runtime.threads}t {console.milliseconds(r.p50_ms)} ms" for r in unit.records)
        gone = f"; {len(unit.missing)} missing: {unit.missing[0].reason[:100]}" if unit.missing else ""
        count = f"[{self._already + self._done}/{self._units}]"
        self._bars.console.print(
            f"{count} {unit.key}: {times or 'nothing'}{gone} (about {left_s / 60:.0f} min left)", soft_wrap=True, markup=False
        )
