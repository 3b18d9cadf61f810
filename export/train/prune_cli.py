"""``shelfcam prune``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from edge import console
from edge.commands import options
from edge.errors import UsageError
from export.load.options import NO_OPTIONS, ModelOptions
from export.train.command import (
    NO_TRAINING_OPTIONS,
    ImagesOption,
    RestartOption,
    TrainingOptions,
    TrainOption,
    prepare,
    run_and_tell,
)

if TYPE_CHECKING:
    from export.train.compress import PruneJob, PruneResult

_FACTORS = {"k": 1e3, "m": 1e6, "g": 1e9}


def prune_command(
    spec: Annotated[str, Parameter(help="Trained network: a zoo name, package.module:factory or a checkpoint of ours.")],
    /,
    *,
    train: TrainOption,
    val: Annotated[Path, Parameter(help="CSV of photos to judge by.")],
    images: ImagesOption,
    out: Annotated[Path, Parameter(help="Program to write (.pt2); the curve goes beside it.")],
    network: ModelOptions = NO_OPTIONS,
    max_macs: Annotated[str | None, Parameter(help="Budget: multiply-accumulates for one picture, for example 150M.")] = None,
    max_weight_mb: Annotated[
        float | None,
        Parameter(help="Budget: MB of 8-bit weights, one byte each; a file is a few per cent larger (biases, scales, graph)."),
    ] = None,
    keep: Annotated[
        float | None, Parameter(help="Budget: share of the multiply-accumulates that stays, for example 0.5.")
    ] = None,
    training: TrainingOptions = NO_TRAINING_OPTIONS,
    max_drop: Annotated[
        float, Parameter(help="Gate: at most so many points of top-1 less than unpruned, nor 2 % of it for each such point.")
    ] = 1.0,
    restart: RestartOption = False,
    json: options.JsonOption = False,
) -> None:
    """Take channels out of a trained network until it fits a budget, then teach what is left with the whole network as teacher.

    The result takes any batch and says what it is: `shelfcam export small.pt2` needs no more. Exit code 65, and nothing written, if
    the network cannot be pruned, the budget cannot be met, or too much accuracy is lost. Killed at any moment, the same command
    goes on; after a refusal, more --epochs go on from there, and a larger --max-drop takes what there is.

    **Examples**

        shelfcam prune shelf.safetensors --keep 0.5 --train train.csv --val val.csv --images photos --out small.pt2
        shelfcam prune my.nets:shelf --weights shelf.pth --max-weight-mb 2.5 --train train.csv --val val.csv --images photos \\
            --out small.pt2
    """
    prepare()
    from export.train.compress import Limit, PruneJob

    job = PruneJob(
        model=network.spec(spec),
        train=train,
        val=val,
        images=images,
        out=out,
        limit=Limit(None if max_macs is None else count(max_macs), max_weight_mb, keep),
        settings=training.settings(head_epochs=0, seed=network.seed),
        max_drop_points=max_drop,
        restart=restart,
    )
    _show(job, json)


def count(text: str) -> int:
    """ "150M", "1.5G", "2000000" → a whole number. Raises UsageError."""
    factor = _FACTORS.get(text[-1:].lower(), 1)
    try:
        value = float(text[:-1] if factor != 1 else text) * factor
        return round(value)
    except (ValueError, OverflowError):
        raise UsageError(f"--max-macs {text!r} is no number", fix="for example 150M") from None


def summary(result: PruneResult, out: Path) -> dict[str, Any]:
    """The result for programs."""
    best = None if result.outcome is None else result.outcome.best_epoch + 1
    return {
        "program": str(out),
        "passes": True,
        "budget": result.budget,
        "networks": result.report.rows,
        "photos": result.report.photos,
        "channels": result.pruned.kept,
        "best_epoch": best,
        "history": () if result.outcome is None else result.outcome.history,
    }


def _show(job: PruneJob, json: bool) -> None:
    from export.train.compress import run
    from export.train.report import as_table

    result, _ = run_and_tell(partial(run, job), job.out, json=json)
    if json:
        console.print_json(summary(result, job.out))
    else:
        console.print_table(str(job.out), *as_table(result.report))
