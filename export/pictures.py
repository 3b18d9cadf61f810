"""A request's pictures: which calibrate, which judge, and what the float network answers to those that judge."""

from __future__ import annotations

import csv
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.data import U8Image
from edge.errors import DataError, InputMissingError, UsageError
from edge.evaluate import read_list
from edge.manifest import GoldenSource
from edge.scene.rendered import golden_scenes
from edge.tasks.base import first_indices
from edge.text import from_csv_cell
from export import candidates
from export.convert import calibrate
from export.judge.parity import EvaluationSet
from export.load.model import FloatModel
from export.progress import Progress
from export.request import HELD_OUT_COUNT, Request
from export.tasks import task_of

log = logging.getLogger(__name__)

GOLDEN_SEED_OFFSET = 1000  # so that golden scenes and whatever else is drawn from the same seed differ
_NO_LIMIT = 10**9


def gather(request: Request, model: FloatModel) -> calibrate.Split:
    """The pictures of both sides, at the model's size.

    Raises:
        UsageError, InputMissingError, DataError: they cannot be used.
    """
    spec = candidates.input_spec(model.size_hw_px, "onnx", model.fit)
    listed = None
    if request.held_out_labels is not None:
        if not model.labels:
            raise UsageError("--held-out-labels: the network has no labels", fix="give them with --labels")
        listed = tuple(read_list(request.held_out_labels, model.labels))
    asked = request.held_out_count or (_NO_LIMIT if listed is not None else HELD_OUT_COUNT)
    held_out = max(asked, request.golden_count) if request.golden == "held_out" else asked
    wanted = calibrate.SplitCounts(request.calibration_count, held_out, request.seed)
    if request.calibration == calibrate.SKIMAGE:
        if request.held_out is not None:
            raise UsageError("--held-out cannot be combined with --calibration skimage, which brings its own")
        return calibrate.from_skimage(spec, wanted)
    only = None if request.calibration_list is None else read_paths(request.calibration_list)
    folders = calibrate.Folders(Path(request.calibration), request.held_out, only, listed)
    return calibrate.from_directory(folders, spec, wanted, log.warning)


def read_paths(path: Path) -> tuple[str, ...]:
    """The column ``path`` of a CSV; other columns are not looked at.

    Raises:
        InputMissingError: no such file.
        DataError: no such column, or no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if "path" not in (reader.fieldnames or ()):
                raise DataError(f"{path}: no column 'path'", fix="the first line must name the columns, one of them path")
            found = tuple(from_csv_cell(row["path"]) for row in reader if row["path"])
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV in UTF-8: {error}") from error
    if not found:
        raise DataError(f"{path}: no rows")
    return found


def evaluation_sets(request: Request, model: FloatModel, split: calibrate.Split, progress: Progress) -> list[EvaluationSet]:
    """The golden set first; then all held-out photos, unless the golden set is just those.

    Raises:
        DataError: too few held-out photos for the golden set, or the float network's answers are not finite.
    """
    held_out = _answered("held_out", split.held_out.images, model, progress)
    if split.held_out.truth is not None:
        first = first_indices(model.labels)
        same = np.asarray([first[label] for label in model.labels], dtype=np.int64)
        held_out = replace(held_out, truth=split.held_out.truth, same_class=same)
    if request.golden == "rendered":
        scenes = golden_scenes(request.golden_count, request.seed + GOLDEN_SEED_OFFSET, model.size_hw_px)
        return [_answered("rendered", scenes, model, progress), held_out]
    count = request.golden_count
    if len(held_out.images) < count:
        raise DataError(
            f"{len(held_out.images)} held-out pictures are too few for a golden set of {count}",
            fix="give more photos, or --golden rendered",
        )
    golden = EvaluationSet(held_out.images[:count], held_out.expected[:count], "held_out", first_of_last=True)
    if len(held_out.images) == count and held_out.truth is None:
        return [held_out]
    return [golden, held_out]


def _answered(source: GoldenSource, images: U8Image, model: FloatModel, progress: Progress) -> EvaluationSet:
    advance = progress(f"float network on {source} pictures", 1)
    expected = task_of(model.task).float_answers(model, images)
    if not np.isfinite(expected).all():
        raise DataError(
            f"{model.name}: the float network's answers are not finite", fix="check its weights and its normalisation"
        )
    advance()
    return EvaluationSet(images, expected, source)
