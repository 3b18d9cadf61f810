"""``shelfcam bench zoo`` as a command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from benchmarks.measure.alternation import Schedule
from benchmarks.measure.peak import BENCH as PEAK
from benchmarks.measure.peak import need_measured
from benchmarks.measure.stream import Limits
from benchmarks.record.arguments import parse_counts, parse_names, parse_threads, refuse_unknown
from benchmarks.record.spec import Report
from benchmarks.zoo import show as zoo_show
from benchmarks.zoo import time as zoo_time
from benchmarks.zoo.fit import STRATEGY, Plan, Row, Table, fit_all, read_table, seed_networks, write_table
from benchmarks.zoo.time import REPORT, STATE, State, TimePlan
from edge import console, strict
from edge.commands import options
from edge.errors import DataError, SinkError, UsageError

_BYTES_PER_MB = 1_000_000
FITTED = "onnx-int8,tflite-int8"
TIMED = "onnx-fp32,onnx-int8,tflite-fp32,tflite-int8"
QUICK = (
    "mobilenet_w1", "mobilenet_wd4", "mobilenetv2_w1", "mobilenetv3_small", "shufflenet", "shufflenetv2_w1", "squeezenet_v1_1",
    "squeezenext", "mnasnet_b1", "efficientnet_lite0",
)  # fmt: skip
"""Of every mobile family one network, and the two ends of one family's curve."""
_PICTURES, _QUICK_PICTURES = 32, 16  # to calibrate with; quick ones judge with as few
_AT_LEAST_ONE = validators.Number(gte=1)
_SOME = validators.Number(gt=0, lte=1_000_000)  # neither inf nor nan
_SMALLEST_PX = 32


def zoo_command(
    *,
    out: Annotated[Path, Parameter(help="Directory for bundles and results; a run that was stopped goes on there.")],
    export_only: Annotated[bool, Parameter(negative="", help="Fit every network into a bundle; time none.")] = False,
    networks: Annotated[str, Parameter(help="Only these, with commas; without it every one that has a name.")] = "",
    candidates: Annotated[str, Parameter(help=f"Of each, with commas; {TIMED}, only fitted: {FITTED}.")] = "",
    threads: Annotated[str, Parameter(help="Thread counts, with commas.")] = "1",
    sizes: Annotated[
        str, Parameter(help="Sides of the input in pixels, as in 96,160,224; without it each network's own.")
    ] = "",
    queries: Annotated[int | None, Parameter(help="At least so many a candidate; 100.", validator=_AT_LEAST_ONE)] = None,
    seconds: Annotated[
        float | None,
        Parameter(help="And at least so long a candidate; 5, quick 1.5.", validator=validators.Number(gte=0)),
    ] = None,
    rounds: Annotated[int | None, Parameter(help="Alternating rounds, in all; 5, quick 3.", validator=_AT_LEAST_ONE)] = None,
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
        Parameter(help="Calibration pictures; untrained networks need few: 32, quick 16.", validator=_AT_LEAST_ONE),
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
        shelfcam bench zoo --export-only --out out/fitted
    """
    from export.candidates import PLANS

    chosen = chosen_networks(networks) if networks or not quick else QUICK
    if export_only:
        _refuse_timing({"--sizes": sizes, "--bundles": bundles, "--queries": queries, "--seconds": seconds, "--rounds": rounds})
    names = parse_names("--candidates", candidates or (FITTED if export_only else TIMED))
    refuse_unknown("--candidates", names, [plan.name for plan in PLANS])
    export = Plan(
        networks=chosen,
        out=out,
        candidates=",".join(names),
        budget_bytes=round(budget_mb * _BYTES_PER_MB),
        calibration_count=calibration_count or (_QUICK_PICTURES if quick and not export_only else _PICTURES),
        timeout_s=timeout_minutes * 60,
        strategy="fast" if quick and not export_only else STRATEGY,
        held_out_count=_QUICK_PICTURES if quick and not export_only else None,
    )
    if export_only:
        _fit(export, restart=restart, json=json)
        return
    count = rounds or (3 if quick else 5)
    limits = Limits(math.ceil((queries or 100) / count), (seconds if seconds is not None else 1.5 if quick else 5.0) / count)
    plan = TimePlan(
        keys=(PEAK, *keys_of(chosen, sizes)),
        candidates=names,
        threads=parse_threads(threads),
        schedule=Schedule(count, limits, export.timeout_s),
        bundles=tuple(Path(name) for name in parse_names("--bundles", bundles)) if bundles else (),
        export=export,
        quick=quick,
    )
    report = time_networks(plan, restart=restart)
    if json:
        console.print_json(report)
    else:
        zoo_show.show(report)
    need_measured(report)


def time_networks(plan: TimePlan, *, restart: bool) -> Report:
    """Go on where a stopped run was, or begin.

    Raises:
        UsageError: a folder of ``plan.bundles`` is not there.
        DataError: ``plan.export.out`` holds something else.
        SinkError: it holds what was asked otherwise, timings or exports.
    """
    for folder in plan.bundles:
        if not folder.is_dir():
            raise UsageError(f"--bundles: {folder} is no folder")
    state = State(asked=plan.asked()) if restart else read_state(plan)
    _check_table(plan.export, restart=restart)
    already = sum(unit.key in plan.keys and zoo_time.settled(unit) for unit in state.units)
    with zoo_show.ShowProgress(len(plan.keys), already) as say:
        state = zoo_time.time_all(plan, state, say)
    report = zoo_time.report_of(plan, state)
    zoo_time.write(plan.export.out / REPORT, report)
    return report


def _check_table(plan: Plan, *, restart: bool) -> None:
    """Networks that are exported on the way go into the table at ``plan.out``, which holds those of the same options alone: known once
    before hours of work, not at every network."""
    try:
        read_table(plan)
    except (DataError, SinkError):
        if not restart:
            raise
        write_table(plan, Table(asked=plan.asked()))


def read_state(plan: TimePlan) -> State:
    """What an earlier run left; an empty one without. Raises DataError where that is none, SinkError where other things were asked."""
    path = plan.export.out / STATE
    if not path.exists():
        return State(asked=plan.asked())
    try:
        state = strict.convert(strict.load_json(path), State, path, DataError)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}", fix="--restart begins anew") from error
    asked = plan.asked()
    for key in [key for key in {**asked, **state.asked} if asked.get(key) != state.asked.get(key)][:1]:
        was, now = state.asked.get(key, "nothing"), asked.get(key, "nothing")
        raise SinkError(f"{path}: {key} was {was!r}, now {now!r}", fix="ask the same, give another --out, or --restart")
    return state


def _refuse_timing(given: dict[str, object]) -> None:
    for option, value in given.items():
        if value not in (None, ""):
            raise UsageError(f"{option} is about timing, and --export-only times nothing", fix="leave one of them out")


def chosen_networks(text: str) -> tuple[str, ...]:
    """The names in ``text``, all without one. Raises UsageError for a name that is none."""
    from export.load.zoo import ZOO

    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    refuse_unknown("--networks", names, ZOO)
    return names or tuple(ZOO)


def keys_of(networks: tuple[str, ...], sizes: str) -> tuple[str, ...]:
    """NAME where a network has its own size, else NAME@SIDE."""
    from export.load.zoo import ZOO

    if not sizes:
        return networks
    sides = parse_counts("--sizes", sizes, least=_SMALLEST_PX)
    return tuple(name if ZOO[name].size_hw_px == (side, side) else f"{name}@{side}" for name in networks for side in sides)


def _fit(plan: Plan, *, restart: bool, json: bool) -> None:
    from export.load.model import need_torch

    need_torch()
    table = Table(asked=plan.asked()) if restart else read_table(plan)
    with console.progress() as bars:
        bar = bars.add_task("zoo", total=len(plan.networks), completed=sum(row.name in plan.networks for row in table.rows))
        table = fit_all(plan, table, lambda name: bars.update(bar, description=name), lambda _: bars.update(bar, advance=1))
    rows = [row for name in plan.networks for row in table.rows if row.name == name]
    if json:
        console.print_json(Table(asked=table.asked, rows=tuple(rows)))
    else:
        show(rows)


def show(rows: list[Row]) -> None:
    """One line a network."""
    lines = []
    for row in rows:
        sizes = {fitted.candidate: f"{fitted.bytes / _BYTES_PER_MB:.2f}" for fitted in row.candidates}
        shares = min((fitted.int8_mac_share for fitted in row.candidates), default=None)
        cosines = min((fitted.logit_cosine for fitted in row.candidates), default=None)
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
                row.verdict + (f": {row.reason}" if row.reason else ""),
            )
        )
    columns = ["name", "network", ">M weights", ">MB in seed", ">fp32 MB", ">ONNX MB", ">TFLite MB", ">8-bit", ">cosine"]
    console.print_table("Zoo", [*columns, ">ONNX to TFLite", "verdict"], lines)
    missing = [name for name in seed_networks() if all(row.network != name for row in rows)]
    exported = sum(row.verdict == "exported" for row in rows)
    console.stdout().print(f"{exported} of {len(rows)} exported" + (f"; not tried: {', '.join(missing)}" if missing else ""))
