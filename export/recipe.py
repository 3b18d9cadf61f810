"""The order of an export, visible in one place: load → convert → judge → write."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edge.bundle.golden import GOLDEN_MIN_IMAGES, GoldenSet
from edge.bundle.manifest import Gate, GoldenSource, Manifest
from edge.data import U8Image
from edge.errors import BundleError, DataError, GateError, SinkError, UsageError
from edge.gate import Measured, judge
from edge.scene.golden import golden_scenes
from export import candidates
from export.candidates import Draft
from export.convert import calibrate
from export.convert.all import convert
from export.convert.core import float_logits
from export.judge.count import heaviest_layers
from export.judge.parity import Exam, examine, runs_per_exam
from export.load.model import FloatModel
from export.load.spec import load as load_model
from export.progress import Progress
from export.request import Request
from export.write_bundle import write

log = logging.getLogger(__name__)

GOLDEN_SEED_OFFSET = 1000  # so that golden scenes and whatever else is drawn from the same seed differ
_PARITY_THREADS_MAX = 4


@dataclass(frozen=True, slots=True)
class Result:
    """The manifest as written, every candidate that was tried, and how many calibration pictures could not be read."""

    manifest: Manifest
    drafts: tuple[Draft, ...]
    skipped: int


def export(request: Request, progress: Progress) -> Result:
    """Put a network into a bundle at ``request.out``; nothing is written unless at least one candidate passes its gate.

    Raises:
        UsageError, InputMissingError, DataError: the request or its pictures cannot be used.
        BundleError: a candidate is over its budget, with its heaviest layers.
        GateError: no candidate passes, with a table of what was measured.
        SinkError: the bundle cannot be written.
    """
    plans = candidates.choose(request.candidates)
    if request.golden_count < GOLDEN_MIN_IMAGES:
        raise UsageError(f"a golden set needs at least {GOLDEN_MIN_IMAGES} images, not {request.golden_count}")
    if (
        request.out.is_dir() and any(request.out.iterdir()) and not request.replace
    ):  # the writer would say so after minutes of work
        raise SinkError(
            f"{request.out}: already exists and is not empty", fix="give another directory, or --force to replace it"
        )
    model = load_model(request.model)
    split = _pictures(request, model)
    exams = _exams(request, model, split, progress)
    with tempfile.TemporaryDirectory(prefix="shelfcam-") as folder:
        drafts = convert(model, split.calibration.images, plans, Path(folder), progress)
        check_budget(drafts, request.budget_bytes)
        drafts = judge_all(drafts, exams, request.gate, progress)
        golden = GoldenSet(exams[0].images, exams[0].expected)
        manifest = write(request, model, split, golden, [draft for draft in drafts if draft.passes])
    return Result(manifest, tuple(drafts), split.skipped)


def check_budget(drafts: Sequence[Draft], budget_bytes: int) -> None:
    """Raises BundleError that names every file over the budget with its three heaviest layers."""
    over = {draft.path: draft for draft in drafts if draft.candidate.model_file.bytes > budget_bytes}
    if not over:
        return
    lines = []
    for path, draft in over.items():
        heavy = ", ".join(f"{layer.name} {layer.bytes:,}" for layer in heaviest_layers(path, draft.plan.format))
        size = draft.candidate.model_file.bytes
        lines.append(
            f"{draft.plan.file}: {size:,} bytes, {size - budget_bytes:,} over the budget of {budget_bytes:,}; heaviest: {heavy}"
        )
    raise BundleError("\n".join(lines), fix="leave it out with --candidates, shrink the network, or raise --budget-mb")


def judge_all(drafts: Sequence[Draft], exams: Sequence[Exam], gate: Gate, progress: Progress) -> list[Draft]:
    """Every draft with what was measured; the first exam decides. Raises GateError if none passes."""
    threads = min(_PARITY_THREADS_MAX, os.cpu_count() or 1)
    judged = []
    for draft in drafts:
        total = sum(len(exam.images) for exam in exams) * runs_per_exam(draft.candidate)
        advance = progress(f"judging {draft.plan.name}", total)
        quality = examine(draft.path, draft.candidate, exams, threads=threads, advance=advance)
        first = quality[0]
        verdict = judge(Measured(first.images, first.logit_cosine, first.top1_agreement, first.accuracy), gate)
        candidate = msgspec.structs.replace(draft.candidate, quality=quality)
        judged.append(replace(draft, candidate=candidate, passes=verdict.passes, verdict=verdict.reason))
    if not any(draft.passes for draft in judged):
        table = "\n".join(
            f"  {draft.plan.name:16}{draft.candidate.model_file.bytes:>12,} bytes  {draft.verdict}" for draft in judged
        )
        raise GateError(
            f"no candidate answers like the float network:\n{table}",
            fix="calibrate on more and better photos; --min-cosine and --min-agreement move the gate",
        )
    for draft in judged:
        if not draft.passes:
            log.warning("%s is left out of the bundle: %s", draft.plan.name, draft.verdict)
    return judged


def _pictures(request: Request, model: FloatModel) -> calibrate.Split:
    spec = candidates.input_spec(model.size_hw_px, "onnx")
    held_out = max(request.golden_count, 100)
    wanted = calibrate.Wanted(request.calibration_count, held_out, request.seed)
    if request.calibration == calibrate.SKIMAGE:
        return calibrate.from_skimage(spec, wanted)
    return calibrate.from_directory(Path(request.calibration), request.held_out, spec, wanted, log.warning)


def _exams(request: Request, model: FloatModel, split: calibrate.Split, progress: Progress) -> list[Exam]:
    """The golden set first; drawn golden pictures are followed by the held-out photos, as a record."""
    held_out = split.held_out.images
    sets: list[tuple[GoldenSource, U8Image]]
    if request.golden == "rendered":
        golden = golden_scenes(request.golden_count, request.seed + GOLDEN_SEED_OFFSET, model.size_hw_px)
        sets = [("rendered", golden), ("held_out", held_out)]
    elif len(held_out) < request.golden_count:
        raise DataError(
            f"{len(held_out)} held-out pictures are too few for a golden set of {request.golden_count}",
            fix="give more photos, or --golden rendered",
        )
    else:
        sets = [("held_out", held_out[: request.golden_count])]
    exams = []
    for source, images in sets:
        advance = progress(f"float network on {source} pictures", 1)
        exams.append(Exam(images, float_logits(model, images), source))
        advance()
    return exams
