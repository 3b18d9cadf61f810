"""A fine-tuning from files to a file."""

from __future__ import annotations

import csv
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.errors import DataError, InputMissingError, UsageError
from edge.evaluate import COLUMNS, Sample, read_list
from edge.text import from_csv_cell
from export.load.assemble import load
from export.load.checkpoint import CheckpointFacts, read_facts, write_checkpoint
from export.load.head import head_parameters, with_new_head
from export.load.labels import read_labels
from export.load.model import FloatModel
from export.load.programs import is_program
from export.load.spec import ModelSpec
from export.load.weights import SAFETENSORS
from export.progress import Progress
from export.tasks import task_of
from export.train.curve import Curve
from export.train.finetune import TrainedModel, Training, finetune
from export.train.photos import Photos, load_photos
from export.train.report import NetworkRow, Reported, TrainingReport, require_kept, row
from export.train.settings import TrainSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asks for."""

    model: ModelSpec
    train: Path
    images: Path
    out: Path
    val: Path | None = None
    settings: TrainSettings = field(default_factory=TrainSettings)
    teacher: ModelSpec | None = None
    half: bool = True
    restart: bool = False
    max_drop_points: float | None = None


def run(job: Job, progress: Progress, reported: Reported = lambda _: None) -> TrainedModel:
    """Train and write the checkpoint; its curve is beside it from the first epoch on.

    Where there is a teacher, ``reported`` is told how the two compare, and with ``max_drop_points`` the student is held against it.

    Raises:
        UsageError, InputMissingError, DataError: the request, the lists or the photos cannot be used.
        GateError: the student is too much worse than its teacher; nothing is written, and more epochs can go on.
        SinkError: something cannot be written.
    """
    if job.out.suffix != ".safetensors":
        raise UsageError(f"--out {job.out}: a checkpoint is a .safetensors file")
    if not job.images.is_dir():
        raise InputMissingError(
            f"{job.images}: no such directory", fix="--images names the directory that the lists' paths are below"
        )
    if job.max_drop_points is not None and (job.teacher is None or job.val is None):
        raise UsageError("--max-drop compares with a teacher on validation photos", fix="give --teacher and --val")
    task = prepare(job)
    state_path = job.out.with_suffix(".training")
    if job.restart:
        state_path.unlink(missing_ok=True)

    curve = Curve(job.out.with_suffix(".png"), f"{job.out.stem}: {job.model.spec}, {len(task.train.images)} photos")
    asked = {"SPEC": job.model.spec, "--weights": str(task.model.checkpoint_sha256), "--teacher": _identity(task.teacher)}
    free = frozenset[str]() if job.max_drop_points is None else frozenset({"--epochs"})
    outcome = finetune(task, job.settings, asked, state_path, told=curve.told, progress=progress, free=free)
    curve.end(outcome.history)
    if task.teacher is not None:
        rows = tuple(_compared(*pair, task.val) for pair in (("teacher", task.teacher), ("student", outcome.model)))
        report = TrainingReport(rows, 0 if task.val is None else len(task.val.images))
        reported(report)
        if job.max_drop_points is not None:
            require_kept(report, job.max_drop_points)
    write_checkpoint(job.out, outcome.model.module.state_dict(), _facts(job, outcome), half=job.half)
    state_path.unlink(missing_ok=True)
    return outcome


def prepare(job: Job) -> Training:
    """The network with a head for the list's classes, and the photos."""
    if is_program(job.model.spec):
        raise UsageError(
            f"{job.model.spec}: a program has operators and no layers to train", fix="give the network that it was made from"
        )
    purpose = task_of(job.model.task)
    if not purpose.picks_class:
        raise UsageError(
            f"training learns the classes of photos, and {purpose.noun} has none",
            fix=f"train the classifier, and export it with --task {purpose.name}",
        )
    start = load(replace(job.model, labels=None, num_classes=None))
    labels = _labels(job, start)
    if labels != start.labels:
        module = with_new_head(start.module, len(labels), start.size_hw_px, job.settings.seed)
        start = replace(start, module=module, labels=labels, width=len(labels))
    head = frozenset(head_parameters(start.module, start.size_hw_px))
    side = max(start.size_hw_px)
    train = listed_photos(job.train, labels, job.images, side)
    val = None if job.val is None else listed_photos(job.val, labels, job.images, side, judging=True)
    if val is not None and len(apart := train.without(val)) < len(train):
        log.warning("%s: %d photos are in %s too and do not train", job.train, len(train) - len(apart), job.val)
        train = apart
    return Training(start, head, train, val, _teacher(job.teacher, labels))


def _labels(job: Job, start: FloatModel) -> tuple[str, ...]:
    """Of --labels; or the list's, sorted; or the network's own, if those are the same or it is a checkpoint that knows all of them."""
    if job.model.labels is not None:
        return read_labels(job.model.labels)
    try:
        with job.train.open(encoding="utf-8-sig", newline="") as file:
            named = {from_csv_cell(row.get(COLUMNS[1]) or "") for row in csv.DictReader(file)} - {""}
    except OSError as error:
        raise InputMissingError(f"{job.train}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{job.train}: not a CSV in UTF-8: {error}") from error
    known = named == set(start.labels) or (named <= set(start.labels) and _checkpoint_facts(job.model) is not None)
    return start.labels if known else tuple(sorted(named))


def listed_photos(path: Path, labels: tuple[str, ...], images: Path, side_px: int, *, judging: bool = False) -> Photos:
    """The photos of a CSV, as ``load_photos`` has them; those that cannot be read are told and left out. Raises InputMissingError,
    DataError."""
    samples: list[Sample] = read_list(path, labels)
    photos = load_photos(samples, images, side_px, log.warning, judging=judging)
    if photos.skipped:
        log.warning("%s: %d of %d photos cannot be read", path, photos.skipped, len(samples))
    return photos


def _teacher(spec: ModelSpec | None, labels: tuple[str, ...]) -> FloatModel | None:
    if spec is None:
        return None
    teacher = load(spec)
    if teacher.labels != labels:
        raise DataError(
            f"--teacher {spec.spec}: its {len(teacher.labels)} classes are not the list's {len(labels)}",
            fix="a teacher that was trained on the same labels, in the same order",
        )
    return teacher


def _compared(role: str, model: FloatModel, val: Photos | None) -> NetworkRow:
    height, width = model.size_hw_px
    return row(f"{model.name}, {role}, {height}×{width}", model, val)


def _facts(job: Job, outcome: TrainedModel) -> CheckpointFacts:
    model = outcome.model
    best = outcome.history[outcome.best_epoch]
    judged = "" if best.val_top1 is None else f", validation top-1 {best.val_top1:.4f}"
    notes = f"fine-tuned, epoch {outcome.best_epoch + 1} of {job.settings.total_epochs}{judged}"
    return CheckpointFacts.of(model, _network_spec(job.model), notes)


def _network_spec(model: ModelSpec) -> str:
    """SPEC of the network itself, where ``model`` names a checkpoint that says which one it is."""
    facts = _checkpoint_facts(model) if model.spec.endswith(SAFETENSORS) else None
    return model.spec if facts is None else facts.spec


def _checkpoint_facts(model: ModelSpec) -> CheckpointFacts | None:
    """Of a checkpoint that knows its labels, as SPEC or as --weights."""
    path = Path(model.spec) if model.spec.endswith(SAFETENSORS) else model.weights
    return None if path is None or path.suffix != SAFETENSORS else read_facts(path)


def _identity(model: FloatModel | None) -> str:
    """What tells a network's answers apart, for the fingerprint of a run."""
    return "none" if model is None else f"{model.name} {model.checkpoint_sha256} {model.normalisation} {model.size_hw_px}"
