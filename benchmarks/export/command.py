"""``shelfcam bench export``: what an export costs, as a record beside its targets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from benchmarks.measure.exports import ExportRun, run_export
from benchmarks.record.arguments import AT_LEAST_ONE
from benchmarks.record.draft import ProgressBar, ReportDraft
from benchmarks.record.facts import Subject, record_of
from benchmarks.record.schema import Record, Report, Round
from benchmarks.record.show import show_report
from benchmarks.record.targets import check
from edge import console
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import open_bundle
from edge.commands import options
from edge.errors import BackendError, ExitCode

SECONDS_MAX = {"fast": 180.0, "balanced": 600.0, "thorough": 3600.0}
PEAK_MAX_GB = 4.0
_CANDIDATES = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"
_PICTURES = 100

Strategy = Literal["fast", "balanced", "thorough"]


def export_command(
    *,
    spec: Annotated[str, Parameter(help="Network of the zoo with trained weights.")] = "efficientnet_lite0",
    candidates: Annotated[str, Parameter(help="What to make, with commas.")] = _CANDIDATES,
    strategy: Annotated[Strategy, Parameter(help="As in shelfcam export.")] = "fast",
    rounds: Annotated[int, Parameter(help="Exports to time.", validator=AT_LEAST_ONE)] = 1,
    json: options.JsonOption = False,
) -> None:
    """Wall time, CPU time and peak memory of an export: four candidates, 100 calibration and 100 gate pictures.

    A missed target is a result, not a failure. Leave the machine alone meanwhile.

    **Examples**

        shelfcam bench export
        shelfcam bench export --strategy balanced --json
    """
    report = measure(spec, candidates, strategy, rounds)
    if json:
        console.print_json(report)
    else:
        show_report(report)


def measure(spec: str, candidates: str, strategy: Strategy, rounds: int) -> Report:
    """Export ``rounds`` times. Raises BackendError if an export fails."""
    draft, ran = ReportDraft(), []
    with tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place, ProgressBar("exporting", total=rounds) as progress:
        for number in range(rounds):
            ran.append(_export(spec, candidates, strategy, Path(place) / str(number)))
            progress.advance()
        draft.records.append(_record(Path(place) / "0", ran, strategy))
    slowest, peak = max(run.seconds for run in ran), max(run.peak_bytes for run in ran) / 1e9
    draft.checks += [
        check(f"export, {strategy}", slowest, "≤", SECONDS_MAX[strategy], unit="s"),
        check("peak resident memory", peak, "≤", PEAK_MAX_GB, unit="GB"),
    ]
    return draft.finish(Report, "export", quick=False)


def _export(spec: str, candidates: str, strategy: Strategy, out: Path) -> ExportRun:
    words = [spec, "--pretrained", "--calibration", "skimage", "--golden", "rendered", "--candidates", candidates]
    words += ["--calibration-count", str(_PICTURES), "--strategy", strategy, "--out", str(out)]
    ran = run_export(words, timeout_s=2 * SECONDS_MAX["thorough"])
    if ran.exit_code != ExitCode.OK:
        raise BackendError(f"shelfcam export {spec} ended with {ran.exit_code}: {ran.error}")
    return ran


def _record(directory: Path, ran: list[ExportRun], strategy: Strategy) -> Record:
    """About the lightest candidate; a query is one export."""
    bundle = open_bundle(directory, WORKSTATION)
    (model,) = bundle.manifest.models
    lightest = min(model.candidates, key=lambda candidate: candidate.model_file.bytes)
    return record_of(
        "export",
        Subject(bundle, model, lightest, threads=0),
        [Round(queries=1, seconds=run.seconds, cpu_s=run.cpu_s) for run in ran],
        memory={"peak": max(run.peak_bytes for run in ran)},
        notes=(f"a query is one export of {len(model.candidates)} candidates, strategy {strategy}",),
    )
