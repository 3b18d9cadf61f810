"""Judged candidates → a bundle directory, with where everything came from."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.bundle.golden import GoldenSet, encode_golden
from edge.bundle.manifest import SCHEMA, FileRef, Golden, Labels, Manifest, Model, Provenance
from edge.bundle.writer import BundleWriter
from edge.choice.machine import installed_versions
from export.candidates import Draft

if TYPE_CHECKING:
    from export.convert.calibrate import Split
    from export.load.model import FloatModel
    from export.request import Request

_TOOLS = (
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


def write(request: Request, model: FloatModel, split: Split, golden: GoldenSet, drafts: Sequence[Draft]) -> Manifest:
    """Write ``drafts`` (those that passed) to ``request.out``, whole or not at all.

    Raises:
        SinkError: it cannot be written.
    """
    with BundleWriter(request.out, replace=request.replace) as writer:
        labels = writer.add("labels.txt", ("\n".join(model.labels) + "\n").encode())
        archive = writer.add("golden/golden.npz", encode_golden(golden))
        files: dict[str, FileRef] = {}
        for draft in drafts:
            if draft.plan.file not in files:
                files[draft.plan.file] = writer.add(draft.plan.file, draft.path)
        entry = Model(
            name=model.name,
            task="classify",
            weights=model.weights,
            labels=Labels(text=labels, count=len(model.labels)),
            golden=Golden(archive=archive, images=len(golden.images), source=request.golden),
            gate=request.gate,
            candidates=tuple(msgspec.structs.replace(d.candidate, model_file=files[d.plan.file]) for d in drafts),
        )
        manifest = Manifest(schema=SCHEMA, name=model.name, models=(entry,), provenance=_provenance(request, model, split))
        writer.finish(manifest)
    return manifest


def command_line(request: Request) -> str:
    """The command that makes this bundle again. Directories by their last name only: a bundle shall not tell about the exporter's
    machine."""
    words = ["shelfcam", "export", request.model.spec]
    words += ["--pretrained"] if request.model.pretrained else []
    words += ["--calibration", Path(request.calibration).name, "--out", request.out.name]
    words += ["--held-out", request.held_out.name] if request.held_out else []
    words += ["--golden", request.golden, "--golden-count", str(request.golden_count)]
    words += ["--calibration-count", str(request.calibration_count), "--seed", str(request.seed)]
    words += ["--candidates", ",".join(request.candidates)] if request.candidates else []
    return shlex.join(words)


def _provenance(request: Request, model: FloatModel, split: Split) -> Provenance:
    return Provenance(
        created_utc=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        command=command_line(request),
        tools=installed_versions(_TOOLS),
        git_commit=_git_commit(),
        checkpoint=model.checkpoint,
        checkpoint_sha256=model.checkpoint_sha256,
        calibration=split.calibration.name,
        calibration_sha256=split.calibration.sha256,
        calibration_images=len(split.calibration.images),
        licence=model.licence,
        notes=(f"judged on {len(split.held_out.images)} pictures: {split.held_out.name}",),
    )


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
