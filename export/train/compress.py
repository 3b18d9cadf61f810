"""A pruning from files to a file: prune, train with the unpruned network as teacher, judge, write."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.errors import InputMissingError, UsageError
from export.load.assemble import load
from export.load.checkpoint import CheckpointFacts
from export.load.model import FloatModel
from export.load.spec import ModelSpec
from export.progress import Progress
from export.tasks import task_of
from export.train.curve import Curve
from export.train.finetune import TrainedModel, Training, finetune
from export.train.job import listed_photos
from export.train.photos import Photos
from export.train.program import write_program
from export.train.prune import Budget, Pruned, by_magnitude, by_taylor, graph_of, prune
from export.train.report import Reported, TrainingReport, measure, require_kept, row
from export.train.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Limit:
    """Exactly one: multiply-accumulates, megabytes of 8-bit weights (1,000,000 weights each), or the share of MACs that stays."""

    max_macs: int | None = None
    max_weight_mb: float | None = None
    keep: float | None = None

    def budget(self, model: FloatModel) -> Budget:
        """For one network. Raises UsageError."""
        given = [value for value in (self.max_macs, self.max_weight_mb, self.keep) if value is not None]
        if len(given) != 1:
            raise UsageError("give one budget: --max-macs, --max-weight-mb or --keep")
        if given[0] <= 0 or (self.keep or 0) >= 1:
            raise UsageError(f"{given[0]:g} is no budget", fix="--keep lies between 0 and 1, the others above 0")
        if self.max_weight_mb is not None:
            return Budget("weights", round(self.max_weight_mb * 1e6))
        return Budget("macs", self.max_macs if self.max_macs is not None else round((self.keep or 0) * measure(model).macs))


@dataclass(frozen=True, slots=True)
class PruneJob:
    """What the command line asks for. ``max_drop_points``: of top-1 on ``val``, in points of 100."""

    model: ModelSpec
    train: Path
    val: Path
    images: Path
    out: Path
    limit: Limit
    settings: TrainSettings = field(default_factory=lambda: TrainSettings(head_epochs=0))
    max_drop_points: float = 1.0
    restart: bool = False


@dataclass(frozen=True, slots=True)
class PruneResult:
    """``model`` is what was written; ``outcome`` is None where nothing was trained."""

    model: FloatModel
    budget: Budget
    pruned: Pruned
    report: TrainingReport
    outcome: TrainedModel | None


def run(job: PruneJob, progress: Progress, reported: Reported) -> PruneResult:
    """Prune, train, judge and write; a run that was killed goes on, and a refused one can get more epochs.

    Pruning is deterministic, so it is done again when a run goes on, and the training state knows the network that it belongs to.

    Raises:
        UsageError, InputMissingError: the request cannot be used.
        DataError: the network cannot be pruned (says why), the budget cannot be met (says what could be), or lists and photos
            cannot be used.
        GateError: the trained network is too much worse; nothing is written, and the training state stays.
        SinkError: something cannot be written.
    """
    _check(job)
    model = load(job.model)
    budget = job.limit.budget(model)
    graph, head = graph_of(_copy(model))
    prune(model, budget, graph, head, by_magnitude(graph))  # a refusal comes before the photos are read
    side_px = max(model.size_hw_px)
    train = listed_photos(job.train, model.labels, job.images, side_px)
    val = listed_photos(job.val, model.labels, job.images, side_px, judging=True)
    scores = by_taylor(_copy(model), train, job.settings.seed, progress)
    pruned = prune(model, budget, graph, head, scores)
    rows = [row(f"{model.name}, unpruned", model, val), row("pruned", pruned.model, val)]
    kept, outcome = pruned.model, None
    if job.settings.epochs:
        outcome = _train(job, pruned, model, (train, val), progress)
        kept = outcome.model
        rows.append(row("pruned and trained", kept, val))
    report = TrainingReport(tuple(rows), len(val.images))
    reported(report)
    require_kept(report, job.max_drop_points)
    write_program(job.out, kept, _facts(job, model, report))
    _state_path(job).unlink(missing_ok=True)
    return PruneResult(kept, budget, pruned, report, outcome)


def _check(job: PruneJob) -> None:
    if job.out.suffix != ".pt2":
        raise UsageError(f"--out {job.out}: a pruned network is written as a .pt2 program")
    task = task_of(job.model.task)
    if not task.picks_class:
        raise UsageError(f"pruning is judged by accuracy, which {task.noun} has none of", fix="prune the classifier")
    if job.max_drop_points < 0:
        raise UsageError(f"--max-drop {job.max_drop_points:g}: 0 or more points")
    if not job.images.is_dir():
        raise InputMissingError(
            f"{job.images}: no such directory", fix="--images names the directory that the lists' paths are below"
        )
    if job.settings.epochs:
        job.settings.check()
    if job.restart:
        _state_path(job).unlink(missing_ok=True)


def _train(
    job: PruneJob, pruned: Pruned, teacher: FloatModel, photos: tuple[Photos, Photos], progress: Progress
) -> TrainedModel:
    curve = Curve(job.out.with_suffix(".png"), f"{job.out.stem}: {job.model.spec}, pruned")
    asked = {"SPEC": job.model.spec, "--weights": str(job.model.weights), "pruned network": _identity(pruned.model)}
    task = Training(_copy(pruned.model), frozenset(), *photos, teacher)
    free = frozenset({"--epochs"})
    outcome = finetune(task, job.settings, asked, _state_path(job), told=curve.told, progress=progress, free=free)
    curve.end(outcome.history)
    return outcome


def _state_path(job: PruneJob) -> Path:
    return job.out.with_suffix(".training")


def _copy(model: FloatModel) -> FloatModel:
    return replace(model, module=copy.deepcopy(model.module))


def _identity(model: FloatModel) -> str:
    """SHA-256 of its weights before training."""
    digest = hashlib.sha256()
    for name, tensor in model.module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _facts(job: PruneJob, model: FloatModel, report: TrainingReport) -> CheckpointFacts:
    first, last = report.rows[0], report.rows[-1]
    notes = f"pruned from {first.size.macs:,} to {last.size.macs:,} MACs; top-1 {first.top1:.4f} before, {last.top1:.4f} now"
    return CheckpointFacts.of(model, job.model.spec, notes)
