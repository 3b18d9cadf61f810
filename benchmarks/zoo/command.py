"""``shelfcam bench zoo`` as a command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from benchmarks.measure.alternation import Schedule
from benchmarks.measure.peak import need_measured
from benchmarks.measure.single_stream import RunLength
from benchmarks.record.arguments import AT_LEAST_ONE, NOT_NEGATIVE, parse_counts, parse_known, parse_names, parse_threads
from benchmarks.record.draft import ProgressBar
from benchmarks.record.schema import PEAK, Report, write_json
from benchmarks.zoo.export_table import BYTES_PER_MB, STRATEGY, ExportPlan, ExportTable, export_all, read_table, write_table
from benchmarks.zoo.show import ShowProgress, show_exports, show_timings
from benchmarks.zoo.timings import REPORT, TimingPlan, ZooTimings, read_timings, report_of, settled, time_all
from edge import console
from edge.commands import options
from edge.errors import DataError, SinkError, UsageError

EXPORTED = "onnx-int8,tflite-int8"
TIMED = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"
QUICK = (
    "mobilenet_w1", "mobilenet_wd4", "mobilenetv2_w1", "mobilenetv3_small", "shufflenet", "shufflenetv2_w1", "squeezenet_v1_1",
    "squeezenext", "mnasnet_b1", "efficientnet_lite0",
)  # fmt: skip
"""Of every mobile family one network, and the two ends of one family's curve."""
_PICTURES, _QUICK_PICTURES = 32, 16  # to calibrate with; quick ones judge with as few
_SOME = validators.Number(gt=0, lte=1_000_000)  # neither inf nor nan
_SMALLEST_PX = 32


def zoo_command(
    *,
    out: Annotated[Path, Parameter(help="Directory for bundles and results; a run that was stopped goes on there.")],
    export_only: Annotated[bool, Parameter(negative="", help="Fit every network into a bundle; time none.")] = False,
    networks: Annotated[str, Parameter(help="Only these, with commas; without it every one that has a name.")] = "",
    candidates: Annotated[str, Parameter(help=f"Of each, with commas; {TIMED}, only exported: {EXPORTED}.")] = "",
    threads: Annotated[str, Parameter(help="Thread counts, with commas.")] = "1",
    sizes: Annotated[
        str, Parameter(help="Sides of the input in pixels, as in 96,160,224; without it each network's own.")
    ] = "",
    queries: Annotated[int | None, Parameter(help="At least so many a candidate; 100.", validator=AT_LEAST_ONE)] = None,
    seconds: Annotated[
        float | None,
        Parameter(help="And at least so long a candidate; 5, quick 1.5.", validator=NOT_NEGATIVE),
    ] = None,
    rounds: Annotated[int | None, Parameter(help="Alternating rounds, in all; 5, quick 3.", validator=AT_LEAST_ONE)] = None,
    bundles: Annotated[
        str, Parameter(help="Folders whose NAME/ are ready bundles, with commas; what is missing is exported.")
    ] = "",
    quick: Annotated[
        bool, Parameter(negative="", help="Ten mobile networks, few queries, fast exports: a look, not figures to quote.")
    ] = False,
    budget_mb: Annotated[
        float, Parameter(help="No exported file may be larger; 1 MB is 1,000,000 bytes.", validator=_SOME)
    ] = 20.0,
    calibration_count: Annotated[
        int | None,
        Parameter(help="Calibration pictures; untrained networks need few: 32, quick 16.", validator=AT_LEAST_ONE),
    ] = None,
    timeout_minutes: Annotated[
        float,
        Parameter(help="A network whose export, or whose timing, takes longer is a row with that reason.", validator=_SOME),
    ] = 30.0,
    restart: Annotated[bool, Parameter(negative="", help="Begin anew where a stopped run would go on; bundles stay.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Every network of the zoo: how long does it take, what does it weigh, how far is it from what this machine can do?

    Networks come from ready bundles, or are exported on the way. Each candidate of a network is timed in processes of its own whose
    rounds alternate, so that ratios within a network hold. Results are in OUT/report.json after every network, and a run that was
    stopped goes on there. A network that is too big, too slow or cannot be converted is a row with the reason.

    A network without trained weights is exported with random ones: its size, its time and its 8-bit share are real, its answers are
    not. With --export-only: does it fit into a camera, in 8 bits, for both runtimes, and do those agree? (OUT/table.json)

    **Examples**

        shelfcam bench zoo --quick --out out/quick
        shelfcam bench zoo --bundles out/mobile,out/big --threads 1,2 --out out/zoo
        shelfcam bench zoo --networks mobilenetv2_w1,mobilenetv2_wd4 --sizes 96,160,224 --out out/sizes --json
        shelfcam bench zoo --networks vgg19 --candidates onnx-fp32,onnx-int8 --budget-mb 1000 --out out/big
        shelfcam bench zoo --export-only --out out/exported
    """
    from export.candidates import PLANS

    chosen = chosen_networks(networks) if networks or not quick else QUICK
    if export_only:
        _refuse_timing({"--sizes": sizes, "--bundles": bundles, "--queries": queries, "--seconds": seconds, "--rounds": rounds})
    names = parse_known("--candidates", candidates or (EXPORTED if export_only else TIMED), [plan.name for plan in PLANS])
    export = ExportPlan(
        networks=chosen,
        out=out,
        candidates=",".join(names),
        budget_bytes=round(budget_mb * BYTES_PER_MB),
        calibration_count=calibration_count or (_QUICK_PICTURES if quick and not export_only else _PICTURES),
        timeout_s=timeout_minutes * 60,
        strategy="fast" if quick and not export_only else STRATEGY,
        held_out_count=_QUICK_PICTURES if quick and not export_only else None,
    )
    if export_only:
        _fit(export, restart=restart, json=json)
        return
    count = rounds or (3 if quick else 5)
    length = RunLength(math.ceil((queries or 100) / count), (seconds if seconds is not None else 1.5 if quick else 5.0) / count)
    plan = TimingPlan(
        keys=(PEAK, *keys_of(chosen, sizes)),
        candidates=names,
        threads=parse_threads(threads),
        schedule=Schedule(count, length, export.timeout_s),
        bundles=tuple(Path(name) for name in parse_names("--bundles", bundles)) if bundles else (),
        export=export,
        quick=quick,
    )
    report = time_networks(plan, restart=restart)
    if json:
        console.print_json(report)
    else:
        show_timings(report)
    need_measured(report)


def time_networks(plan: TimingPlan, *, restart: bool) -> Report:
    """Go on where a stopped run was, or begin.

    Raises:
        UsageError: a folder of ``plan.bundles`` is not there.
        DataError: ``plan.export.out`` holds something else.
        SinkError: it holds what was asked otherwise, timings or exports.
    """
    for folder in plan.bundles:
        if not folder.is_dir():
            raise UsageError(f"--bundles: {folder} is no folder")
    timings = ZooTimings(asked=plan.asked()) if restart else read_timings(plan)
    _check_table(plan.export, restart=restart)
    already = sum(unit.key in plan.keys and settled(unit) for unit in timings.units)
    with ShowProgress(len(plan.keys), already) as progress:
        timings = time_all(plan, timings, progress)
    report = report_of(plan, timings)
    write_json(plan.export.out / REPORT, report)
    return report


def _check_table(plan: ExportPlan, *, restart: bool) -> None:
    """Networks that are exported on the way go into the table at ``plan.out``, which holds those of the same options alone: known once
    before hours of work, not at every network."""
    try:
        read_table(plan)
    except (DataError, SinkError):
        if not restart:
            raise
        write_table(plan, ExportTable(asked=plan.asked()))


def _refuse_timing(given: dict[str, object]) -> None:
    for option, value in given.items():
        if value not in (None, ""):
            raise UsageError(f"{option} is about timing, and --export-only times nothing", fix="leave one of them out")


def chosen_networks(text: str) -> tuple[str, ...]:
    """The names in ``text``, all without one. Raises UsageError for a name that is none."""
    from export.load.zoo import ZOO

    return parse_known("--networks", text, ZOO) if text else tuple(ZOO)


def keys_of(networks: tuple[str, ...], sizes: str) -> tuple[str, ...]:
    """NAME where a network has its own size, else NAME@SIDE."""
    from export.load.zoo import ZOO

    if not sizes:
        return networks
    sides = parse_counts("--sizes", sizes, least=_SMALLEST_PX)
    return tuple(name if ZOO[name].size_hw_px == (side, side) else f"{name}@{side}" for name in networks for side in sides)


def _fit(plan: ExportPlan, *, restart: bool, json: bool) -> None:
    from export.load.model import need_torch

    need_torch()
    table = ExportTable(asked=plan.asked()) if restart else read_table(plan)
    with ProgressBar("zoo", total=len(plan.networks)) as progress:
        progress.at(sum(row.name in plan.networks for row in table.rows))
        table = export_all(plan, table, progress.now, lambda _: progress.advance())
    rows = [row for name in plan.networks for row in table.rows if row.name == name]
    if json:
        console.print_json(ExportTable(asked=table.asked, rows=tuple(rows)))
    else:
        show_exports(rows)
