"""``shelfcam bench latency`` as a command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.latency.measure import QUERIES, SECONDS, LatencyPlan, measure, processes
from benchmarks.latency.show import show_latency
from benchmarks.measure.activations import activation_bytes
from benchmarks.measure.alternation import Schedule
from benchmarks.measure.peak import need_measured
from benchmarks.measure.single_stream import RunLength
from benchmarks.record.arguments import AT_LEAST_ONE, NOT_NEGATIVE, parse_candidates, parse_threads
from benchmarks.record.draft import ProgressBar
from benchmarks.record.facts import Subject, family_of
from benchmarks.record.schema import write_json
from edge import console, models
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import open_bundle
from edge.commands import options
from edge.files import refuse_unwritable

_ROUNDS, _QUICK_ROUNDS, _QUICK_QUERIES, _QUICK_SECONDS = 5, 3, 100, 3.0
_TIMEOUT_S = 7200.0


def latency_command(
    *,
    bundle: options.BundleOption = None,
    model: options.ModelOption = None,
    candidates: Annotated[str, Parameter(help="Only these, with commas; without it all of the bundle's.")] = "",
    threads: Annotated[str, Parameter(help="Thread counts, with commas.")] = "1",
    rounds: Annotated[int | None, Parameter(help="Alternating rounds; 5, quick 3.", validator=AT_LEAST_ONE)] = None,
    fps: Annotated[
        float, Parameter(help="Frames a second of the loop's camera; 0: as fast as the loop.", validator=NOT_NEGATIVE)
    ] = 0.0,
    sustained: Annotated[
        float | None,
        Parameter(help="Minutes that the fastest runs without a pause; 10, quick 0: not.", validator=NOT_NEGATIVE),
    ] = None,
    peaks: Annotated[
        Path | None, Parameter(help="Measure the machine's peak too; its bundles are in this folder, or are exported into it.")
    ] = None,
    out: Annotated[Path | None, Parameter(help="Write the report, as JSON, to this file too.")] = None,
    quick: Annotated[bool, Parameter(negative="", help="100 queries and 3 s: a look, not a figure to quote.")] = False,
    json: options.JsonOption = False,
) -> None:
    """One bundle's candidates as a camera feels them: tails, stages, cold start, heat, memory, energy.

    After MLPerf's SingleStream: one query after the other, at least 1,024 of them and 60 s a candidate; the headline is the p90. Each
    round of each candidate is a process of its own, and rounds alternate. Then the same through the real loop, from the frame to the
    written event; with --fps a latency counts from the moment at which the camera's frame was due. Leave the machine alone meanwhile;
    what other processes took is in the report.

    **Examples**

        shelfcam bench latency
        shelfcam bench latency --bundle my-bundle --threads 1,4 --fps 10 --out latency.json
        shelfcam bench latency --quick --candidates onnx-int8,tflite-int8 --sustained 2
        shelfcam bench latency --peaks out/peaks --json
    """
    opened = open_bundle(models.bundle_directory(str(bundle or models.DEFAULT_BUNDLE)), WORKSTATION)
    which = models.find_model(opened, model)
    wanted = parse_candidates(which, candidates) if candidates else which.candidates
    counts = parse_threads(threads)
    if out is not None:
        refuse_unwritable(out)
    network = which.name if family_of(which.name) != which.name else None
    subjects = []
    for candidate in wanted:
        written = activation_bytes(opened.path(candidate.model_file), candidate)
        subjects += [Subject(opened, which, candidate, count, network, written) for count in counts]
    count = rounds or (_QUICK_ROUNDS if quick else _ROUNDS)
    queries, seconds = (_QUICK_QUERIES, _QUICK_SECONDS) if quick else (QUERIES, SECONDS)
    length = RunLength(math.ceil(queries / count), seconds / count)
    minutes = sustained if sustained is not None else 0.0 if quick else 10.0
    plan = LatencyPlan(tuple(subjects), Schedule(count, length, _TIMEOUT_S), fps, minutes * 60, peaks, quick)
    with ProgressBar(total=processes(plan) + 1) as progress:
        report = measure(plan, progress.step)
    if json:
        console.print_json(report)
    else:
        show_latency(report)
    if out is not None:
        write_json(out, report)
    need_measured(report)
