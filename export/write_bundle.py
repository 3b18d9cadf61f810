"""Judged candidates → a bundle directory, with where everything came from."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.bundle.golden import encode_golden
from edge.bundle.limits import CAMERA, WORKSTATION
from edge.bundle.writer import BundleWriter
from edge.choice.keys import installed_versions
from edge.manifest import SCHEMA, Answer, FileRef, Golden, Labels, Manifest, Model, Provenance
from edge.text import printable
from export.candidates import Draft
from export.judge.defaults import DEFAULT_GATE, DEFAULT_STRATEGY
from export.request import DEFAULT_BUDGET_BYTES, Request
from export.tasks import DEFAULT_TASK, task_of

if TYPE_CHECKING:
    from export.convert.calibrate import Split
    from export.judge.evaluator import Evaluator
    from export.load.model import FloatModel
    from export.load.spec import ModelSpec

TOOLS = (
    "shelfcam",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "litert-torch",
    "ai-edge-quantizer",
    "ai-edge-litert",
    "numpy",
)


def write(request: Request, model: FloatModel, split: Split, evaluator: Evaluator, drafts: Sequence[Draft]) -> Manifest:
    """Write ``drafts`` (those that passed) to ``request.out``, whole or not at all; the first set of ``evaluator`` becomes the golden set.

    Raises:
        SinkError: it cannot be written.
        BundleError: it is larger than a camera takes, and ``request`` did not ask for that.
    """
    limits = CAMERA if request.budget_bytes <= CAMERA.model else WORKSTATION  # a larger budget is asked for by name
    with BundleWriter(request.out, replace=request.replace, limits=limits) as writer:
        labels = None
        if task_of(model.task).has_labels:
            text = writer.add("labels.txt", ("\n".join(model.labels) + "\n").encode())
            labels = Labels(text=text, count=len(model.labels))
        images, expected = evaluator.sets[0].images, evaluator.sets[0].expected
        archive = writer.add("golden/golden.npz", encode_golden(images, {"expected": expected}))
        files: dict[str, FileRef] = {}
        for draft in drafts:
            if draft.plan.file not in files:
                files[draft.plan.file] = writer.add(draft.plan.file, draft.path)
        entry = Model(
            name=model.name,
            weights=model.weights,
            answers=(
                Answer(
                    name=model.task,
                    task=model.task,
                    labels=labels,
                    golden=Golden(archive=archive, images=len(images), source=request.golden),
                    gate=evaluator.gate,
                ),
            ),
            candidates=tuple(msgspec.structs.replace(d.candidate, model_file=files[d.plan.file]) for d in drafts),
        )
        manifest = Manifest(schema=SCHEMA, name=model.name, models=(entry,), provenance=_provenance(request, model, split))
        writer.finish(manifest)
    return manifest


def command_line(request: Request) -> str:
    """The command that makes this bundle again. Directories and files by their last name only: a bundle shall not tell about the
    exporter's machine. What has its default value is left out, except what decides which pictures are used."""
    words = ["shelfcam", "export", Path(request.model.spec).name, *_model_words(request.model)]
    words += ["--calibration", Path(request.calibration).name, "--out", request.out.name]
    words += ["--golden", request.golden, "--golden-count", str(request.golden_count)]
    words += ["--calibration-count", str(request.calibration_count), "--seed", str(request.seed)]
    for option, value in _options(request).items():
        words += [option, value] if value else []
    return shlex.join(words)


def _model_words(spec: ModelSpec) -> list[str]:
    words = ["--pretrained"] if spec.pretrained else []
    words += ["--random-weights"] if spec.random_weights else []
    words += ["--weights", spec.weights.name] if spec.weights else []
    words += ["--task", spec.task] if spec.task != DEFAULT_TASK else []
    words += ["--num-classes", str(spec.num_classes)] if spec.num_classes is not None else []
    words += ["--input-size", "x".join(map(str, spec.size_hw_px))] if spec.size_hw_px else []
    if spec.normalisation:
        mean, scale = (",".join(f"{v:.9g}" for v in values) for values in (spec.normalisation.mean, spec.normalisation.scale))
        words += ["--mean", mean, "--scale", scale]
    words += ["--labels", spec.labels.name] if spec.labels else []
    return words + (["--fit", spec.fit] if spec.fit else [])


def _options(request: Request) -> dict[str, str]:
    """Option → its value, empty where it is the default."""
    gate, usual = request.gate, DEFAULT_GATE
    drop = gate.accuracy_drop_max
    return {
        "--calibration-list": request.calibration_list.name if request.calibration_list else "",
        "--held-out": request.held_out.name if request.held_out else "",
        "--held-out-labels": request.held_out_labels.name if request.held_out_labels else "",
        "--held-out-count": str(request.held_out_count or ""),
        "--candidates": ",".join(request.candidates),
        "--strategy": request.strategy if request.strategy != DEFAULT_STRATEGY else "",
        "--min-cosine": f"{gate.logit_cosine_min:g}" if gate.logit_cosine_min != usual.logit_cosine_min else "",
        "--min-agreement": f"{gate.top1_agreement_min:g}" if gate.top1_agreement_min != usual.top1_agreement_min else "",
        "--max-drop": f"{drop * 100:g}" if drop is not None and drop != usual.accuracy_drop_max else "",
        "--budget-mb": f"{request.budget_bytes / 1e6:g}" if request.budget_bytes != DEFAULT_BUDGET_BYTES else "",
    }


def _provenance(request: Request, model: FloatModel, split: Split) -> Provenance:
    return Provenance(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=printable(command_line(request)),
        tools=installed_versions(TOOLS),
        git_commit=_git_commit(),
        checkpoint=_shown(model.checkpoint),
        checkpoint_sha256=model.checkpoint_sha256,
        calibration=printable(split.calibration.name),
        calibration_sha256=split.calibration.sha256,
        calibration_images=len(split.calibration.images),
        licence=_shown(model.licence),
        notes=(printable(_judged_on(split)),),
    )


def _shown(text: str | None) -> str | None:
    return None if text is None else printable(text)


def _judged_on(split: Split) -> str:
    known = ", with known labels" if split.held_out.truth is not None else ""
    return f"judged on {len(split.held_out.images)} pictures: {split.held_out.name}{known}"


def _git_commit() -> str | None:
    """Of the source tree that this code runs from; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or no commit yet
    return done.stdout.strip()
