"""``shelfcam bench loop``: the camera loop beside its bare backend, in the order in which it is measured."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from benchmarks.loop import parts
from benchmarks.loop.parts import LoopDraft, LoopPlan
from benchmarks.measure.service import Installation
from benchmarks.record.arguments import AT_LEAST_ONE, POSITIVE, parse_known, parse_threads
from benchmarks.record.draft import ProgressBar
from benchmarks.record.schema import Report
from benchmarks.record.show import show_report
from edge import console, models
from edge.bundle.reader import open_bundle
from edge.commands import options
from edge.config import AUTO

PARTS = ("share", "frame", "start", "memory", "size")


def loop_command(
    *,
    bundle: options.BundleOption = None,
    model: options.ModelOption = None,
    candidate: options.CandidateOption = None,
    threads: Annotated[str, Parameter(help="Thread counts for the loop's share, with commas.")] = "1,2",
    rounds: Annotated[int | None, Parameter(help="Alternating rounds; 7, quick 3.", validator=AT_LEAST_ONE)] = None,
    seconds_per_round: Annotated[
        float | None, Parameter(help="Wall time of one side of a round; 3, quick 0.5.", validator=POSITIVE)
    ] = None,
    starts: Annotated[int | None, Parameter(help="Starts to time; 7, quick 3.", validator=AT_LEAST_ONE)] = None,
    frames: Annotated[
        int | None, Parameter(help="Frames of the memory run; 10000, quick 2000.", validator=validators.Number(gte=2))
    ] = None,
    fp32_bundle: Annotated[
        Path | None, Parameter(help="Bundle with an fp32 ONNX candidate of the same model, to compare the int8 one with.")
    ] = None,
    only: Annotated[str, Parameter(help=f"Parts to measure, with commas: {', '.join(PARTS)}.")] = ",".join(PARTS),
    quick: Annotated[bool, Parameter(negative="", help="Fewer rounds and frames: a look, not a figure to quote.")] = False,
    json: options.JsonOption = False,
) -> None:
    """How much of the bare backend's speed the loop keeps, what a frame and a start cost, whether memory stays flat, how small the
    model is.

    Each figure stands beside its target. A missed target is a result, not a failure: the exit code is 0. Leave the machine alone
    meanwhile; what other processes took is in the report.

    **Examples**

        shelfcam bench loop
        shelfcam bench loop --quick --only share,start
        shelfcam bench loop --bundle my-bundle --fp32-bundle my-bundle --threads 1,4 --json
    """
    opened = open_bundle(models.bundle_directory(str(bundle or models.DEFAULT_BUNDLE)))
    plan = LoopPlan(
        bundle=opened,
        model=models.find_model(opened, model),
        candidate=candidate or AUTO,
        threads=parse_threads(threads),
        rounds=rounds or (3 if quick else 7),
        seconds=seconds_per_round or (0.5 if quick else 3.0),
        starts=starts or (3 if quick else 7),
        frames=frames or (2_000 if quick else 10_000),
        fp32_bundle=open_bundle(fp32_bundle) if fp32_bundle else opened,
    )
    report = measure(plan, parse_known("--only", only, PARTS), quick=quick)
    if json:
        console.print_json(report)
    else:
        show_report(report)


def measure(plan: LoopPlan, names: tuple[str, ...], *, quick: bool) -> Report:
    """Measure the parts one after the other, so that none disturbs another. Raises ShelfcamError."""
    with tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place, ProgressBar() as progress:
        installation = Installation(plan.bundle.directory, plan.model.name, plan.candidate, Path(place) / "state")
        draft = LoopDraft()
        if "share" in names:
            for count in plan.threads:
                parts.share(plan, installation, count, draft, progress)
        if "frame" in names:
            parts.frame(plan, installation, draft, progress)
        if "start" in names:
            parts.start(plan, installation, Path(place), draft, progress)
        if "memory" in names:
            parts.memory(plan, installation, draft, progress)
        if "size" in names:
            parts.size(plan, draft, progress)
        return draft.finish(Report, "loop", quick=quick)
