"""What this machine reaches at most: multiply-accumulates a second on large convolutions, through the same runtimes, precisions and
threads as the networks beside it. The best of a few shapes is the peak; a network's share of it says how far it is from the limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.measure.alternation import Outcome, timed_record
from benchmarks.measure.exports import run_export
from benchmarks.record.rounds import round_ms
from benchmarks.record.schema import PEAK, Record, Report
from benchmarks.record.show import quick_words
from edge import console
from edge.backends import every_runtime
from edge.errors import BackendError, ExitCode

if TYPE_CHECKING:
    import torch

NETS = {"peak_3x3": "conv_3x3", "peak_1x1": "conv_1x1"}
"""The bundle's name → its factory below, for ``shelfcam export benchmarks.measure.peak:conv_3x3``: so its files come out exactly as
those of the networks that they are held beside."""
SIDE_PX, CLASSES = 32, 10
REPEATS = 4  # so that the layers before and after them are less than one hundredth of the products
_CANDIDATES = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"
_PICTURES = "16"  # the least that an export calibrates with
_NEVER_REFUSE = ["--min-cosine", "0.5", "--min-agreement", "0", "--budget-mb", "1000"]


def conv_3x3() -> torch.nn.Module:
    """Four 3×3 convolutions, 256 → 256 channels at 32×32: 4 × 32·32·256·256·9 = 2.4e9 multiply-accumulates."""
    return _network(channels=256, kernel=3)


def conv_1x1() -> torch.nn.Module:
    """Four 1×1 convolutions, 512 → 512 channels at 32×32: 4 × 32·32·512·512 = 1.1e9 multiply-accumulates, plain matrix
    products without overlapping windows."""
    return _network(channels=512, kernel=1)


def export_peak(name: str, out: Path, timeout_s: float) -> None:
    """Make the bundle ``out/name`` with all four candidates. Raises BackendError if that fails or takes longer."""
    words = [f"benchmarks.measure.peak:{NETS[name]}", "--random-weights", "--calibration", "skimage", "--golden", "rendered"]
    words += ["--candidates", _CANDIDATES, "--calibration-count", _PICTURES, "--held-out-count", _PICTURES, *_NEVER_REFUSE]
    words += ["--strategy", "fast", "--input-size", str(SIDE_PX), "--num-classes", str(CLASSES), "--mean", "127.5"]
    words += ["--scale", "127.5", "--out", str((out / name).absolute()), "--force"]
    ran = run_export(words, timeout_s=timeout_s)
    if ran.exit_code != ExitCode.OK:
        raise BackendError(f"{name}: shelfcam export ended with {ran.exit_code}: {ran.error}")


def peak_records(outcomes: Sequence[Outcome], thermal: dict[str, float]) -> list[Record]:
    """One record for each runtime, precision and number of threads: of the shape that reached most. Its candidate is "fp32" or
    "int8"; ``macs ÷ p50`` is the peak."""
    best: dict[tuple[str, str, int], Record] = {}
    for outcome in outcomes:
        if not outcome.timings:
            continue
        record = timed_record(PEAK, outcome, thermal=thermal)
        key = _key(record)
        if key is not None and (key not in best or macs_per_s(record) > macs_per_s(best[key])):
            facts = msgspec.structs.replace(record.model, candidate=key[1])
            best[key] = msgspec.structs.replace(record, model=facts)
    return list(best.values())


def need_measured(report: Report) -> None:
    """Raises BackendError where nothing but the machine's peak could be measured; what is missing says why."""
    if any(record.bench != PEAK for record in report.records):
        return
    missing = [one for one in report.missing if not one.name.startswith(PEAK)]
    first = f": {missing[0].name}: {missing[0].reason}" if missing else ""
    others = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    raise BackendError(f"nothing could be measured{first}{others}")


def macs_per_s(record: Record) -> float:
    """Multiply-accumulates a second at the median; 0 where single queries were not timed."""
    return record.model.macs / record.p50_ms * 1e3 if record.p50_ms else 0.0


def share_of_peak(record: Record, peaks: Sequence[Record]) -> float | None:
    """How much of the machine's peak a network reaches, 0…1; None without a peak of its runtime, kind of numbers and threads.

    A network that is partly in 8 bits is held against the 8-bit peak; one with fp16 weights against fp32, in which CPUs compute it.
    It may be above 1 where a runtime has a quicker way for some layer than for the convolutions of the peak.
    """
    key = _key(record)
    return next((macs_per_s(record) / macs_per_s(peak) for peak in peaks if _key(peak) == key and macs_per_s(peak)), None)


def show_beside_peaks(
    report: Report, title: str, columns: Sequence[str], line: Callable[[Record, float | None], Sequence[object]]
) -> None:
    """Tables on standard output: what the machine reaches on large convolutions, then a line a record, with its share of that."""
    peaks = [record for record in report.records if record.bench == PEAK]
    rows = [
        (
            r.runtime.name,
            r.model.candidate,
            r.runtime.threads,
            r.model.model,
            f"{macs_per_s(r) / 1e9:.1f}",
            console.milliseconds(r.p50_ms),
        )
        for r in peaks
    ]
    if rows:
        console.print_table("Peak", ["runtime", "numbers", ">threads", "reached on", ">GMAC/s", ">p50, ms"], rows)
    lines = [line(record, share_of_peak(record, peaks)) for record in report.records if record.bench != PEAK]
    console.print_table(f"{title}{quick_words(report)}", columns, lines)


def peak_name(record: Record) -> str:
    """By what a peak is known from run to run, "peak/onnxruntime/int8/1t": which shape is the best may change."""
    return f"{PEAK}/{record.runtime.name}/{record.model.candidate}/{record.runtime.threads}t"


def lost_names(record: Record) -> set[str]:
    """By which a report may call a peak that it lacks: the candidate of the shapes ("peak/onnx-int8/1t"), or a shape that could not be
    exported ("peak_3x3")."""
    formats = {key[0] for key, runtime in every_runtime().items() if record.runtime.name in runtime.distributions}
    return {f"{PEAK}/{kind}-{record.model.candidate}/{record.runtime.threads}t" for kind in formats} | set(NETS)


def ms_per_gmac(record: Record) -> list[float]:
    """Of each round, milliseconds for 10⁹ multiply-accumulates: shapes of different size can be compared by it."""
    return [ms / max(record.model.macs, 1) * 1e9 for ms in round_ms(record.rounds)]


def _key(record: Record) -> tuple[str, str, int] | None:
    precision = record.model.precision
    if precision is None:
        return None
    kind = "int8" if precision in ("int8", "mixed") else "fp32"
    return record.runtime.name, kind, record.runtime.threads


def _network(*, channels: int, kernel: int) -> torch.nn.Module:
    from export.load.model import import_extra

    nn = import_extra("torch").nn
    layers = [nn.Conv2d(3, channels, 1), nn.ReLU()]
    for _ in range(REPEATS):
        layers += [nn.Conv2d(channels, channels, kernel, padding=kernel // 2), nn.ReLU()]
    built: torch.nn.Module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    return built
