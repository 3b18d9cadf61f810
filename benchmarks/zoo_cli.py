"""``shelfcam bench zoo`` as a command."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from benchmarks.zoo import Plan, Row, Table, fit_all, seed_networks
from edge import console, strict
from edge.commands import options
from edge.errors import DataError, SinkError, UsageError

_BYTES_PER_MB = 1_000_000


def zoo_command(
    *,
    out: Annotated[Path, Parameter(help="Directory for the bundles and the table; a run that was stopped goes on there.")],
    export_only: Annotated[bool, Parameter(negative="", help="Fit every network into a bundle; time none.")] = False,
    networks: Annotated[str, Parameter(help="Only these, with commas; without it every one that has a name.")] = "",
    candidates: Annotated[str, Parameter(help="Candidates to make of each, with commas.")] = "onnx-int8,tflite-int8",
    budget_mb: Annotated[float, Parameter(help="No file may be larger; 1 MB is 1,000,000 bytes.")] = 20.0,
    calibration_count: Annotated[int, Parameter(help="Calibration pictures; untrained networks need few.")] = 32,
    timeout_minutes: Annotated[float, Parameter(help="A network that takes longer is a row with that reason.")] = 30.0,
    restart: Annotated[bool, Parameter(negative="", help="Begin anew where a stopped run would go on.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Every network of the zoo: does it fit into a camera, in 8 bits, for both runtimes, and do those agree?

    A network without trained weights is exported with random ones: its size, its 8-bit share and its logit cosine are real, its
    answers are not. One that is too big, or that cannot be converted, is a row with the reason.

    **Examples**

        shelfcam bench zoo --export-only --out out/zoo
        shelfcam bench zoo --export-only --networks mobilenetv2_w1,squeezenet --out out/zoo --json
    """
    if not export_only:
        raise UsageError("bench zoo cannot time networks yet", fix="--export-only fits them into bundles")
    from export.load.model import need_torch

    need_torch()
    plan = Plan(_chosen(networks), out, candidates, round(budget_mb * _BYTES_PER_MB), calibration_count, timeout_minutes * 60)
    table = Table(asked=plan.asked()) if restart else _left(plan)
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


def _chosen(text: str) -> tuple[str, ...]:
    from export.load.zoo import ZOO

    names = tuple(word.strip() for word in text.split(",") if word.strip())
    for name in names:
        if name not in ZOO:
            near = difflib.get_close_matches(name, ZOO, n=3)
            raise UsageError(
                f"--networks: unknown network {name!r}", fix=f"did you mean {' or '.join(near)}?" if near else None
            )
    return names or tuple(ZOO)


def _left(plan: Plan) -> Table:
    """What an earlier run left at ``plan.out``. Raises DataError or SinkError where that is no table, or of other questions."""
    path = plan.out / "table.json"
    if not path.exists():
        return Table(asked=plan.asked())
    try:
        table = strict.convert(strict.load_json(path), Table, path, DataError)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}", fix="--restart begins anew") from error
    if table.asked != plan.asked():
        raise SinkError(f"{path}: was made with other options: {table.asked}", fix="another --out, or --restart to begin anew")
    return table
