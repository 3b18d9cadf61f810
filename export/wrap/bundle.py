"""Make a bundle of a model that somebody else made: ONNX or TFLite, quantized or float.

What the file says (names, shapes, dtypes, quantization, softmax or not) is read from it; what it cannot say comes from the
caller. The model is loaded and run once through the camera's own backend before anything is written.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from edge.backends import load_backend
from edge.backends.base import RuntimeInfo
from edge.bundle.model_file import ModelFile
from edge.bundle.runtimes import usual_runtime
from edge.bundle.writer import BundleWriter
from edge.data import Region
from edge.errors import BackendError, BundleError, InputMissingError, UsageError
from edge.manifest import (
    Answer,
    Candidate,
    FileRef,
    InputSpec,
    Labels,
    Manifest,
    Model,
    OutputSpec,
    Provenance,
    Requires,
)
from edge.preprocess import preprocess
from edge.tasks.classify import class_probabilities
from edge.text import has_control, printable
from export.judge.op_counts import count
from export.tasks import DEFAULT_TASK, TASKS, task_of
from export.wrap.facts import ModelFacts, broken
from export.wrap.input_text import parse_input
from export.wrap.manifest_entry import OutputMeaning, input_spec, output_spec
from export.wrap.read import read_facts

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # edge.manifest.Name
_SLACK = 0.01  # quantized probabilities may pass 1 by a step


def wrap(
    model: Path,
    labels: Path,
    out: Path,
    *,
    task: str = DEFAULT_TASK,
    input_text: str | None = None,
    output: OutputMeaning | None = None,
    name: str | None = None,
    replace: bool = False,
) -> Manifest:
    """Write a bundle of one candidate to ``out`` and return its manifest. ``weights`` is "trained"; there is no golden set and
    no gate, because there is no float model to compare with.

    Args:
        model: an ``.onnx`` or ``.tflite`` file; its content decides which.
        labels: UTF-8, one class a line, in the order of the model's output.
        input_text: the text of ``--input`` (``export.wrap.input_text``).
        output: what the scores are, where the file's last operator shall not decide.
        name: of the bundle and its model; the file's name by default.
        replace: whether an existing ``out`` may be replaced.

    Raises:
        UsageError: the options are wrong, or leave open what the file does not say.
        InputMissingError, BundleError, BackendError, SinkError: as their names say; then nothing was written.
    """
    found = task_of(task)
    if not found.picks_class:
        raise UsageError(f"--task {task}: only {' and '.join(t.name for t in TASKS.values() if t.picks_class)} can be wrapped")
    title = _title(model, name)
    hints = parse_input(input_text)
    facts = read_facts(model)
    names = read_labels(labels)
    scores = output_spec(model, facts, len(names), output)
    draft = _candidate(model, facts, input_spec(model, facts, hints), scores)
    runtime = try_once(model, draft)
    with BundleWriter(out, replace=replace) as writer:
        model_ref = writer.add(draft.model_file.file, model)
        label_ref = writer.add("labels.txt", ("\n".join(names) + "\n").encode())
        manifest = Manifest(
            schema=1,
            name=title,
            models=(
                Model(
                    name=title,
                    weights="trained",
                    answers=(
                        Answer(
                            name=found.name,
                            task=found.name,
                            labels=Labels(text=label_ref, count=len(names)),
                            golden=None,
                            gate=None,
                        ),
                    ),
                    candidates=(msgspec.structs.replace(draft, model_file=model_ref),),
                ),
            ),
            provenance=_provenance(model, model_ref, _command(model, labels, input_text, output), runtime),
        )
        writer.finish(manifest)
    return manifest


def read_labels(path: Path) -> tuple[str, ...]:
    """One label a line, blanks at the ends and empty last lines dropped.

    Raises:
        InputMissingError: no such file.
        BundleError: not UTF-8, empty, with an empty line in between, or with a control character.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: labels are not UTF-8: {error}") from error
    names = tuple(line.strip() for line in text.rstrip().splitlines())
    if not names:
        raise BundleError(f"{path}: no labels in it", fix="one class a line, in the order of the model's output")
    if "" in names:
        raise BundleError(f"{path}: line {names.index('') + 1} is empty", fix="every class needs a label")
    strange = next((number for number, name in enumerate(names, 1) if has_control(name)), None)
    if strange is not None:
        raise BundleError(f"{path}: line {strange}: {names[strange - 1]!r} holds a control character", fix="leave it out")
    return names


def try_once(path: Path, candidate: Candidate) -> RuntimeInfo:
    """Run one picture of noise through the candidate; returns what ran it.

    Raises:
        BundleError: it cannot run, or its answer is not one row of finite scores (probabilities, if it says so).
    """
    spec, output = candidate.input, candidate.outputs[0]
    pixels = np.random.default_rng(0).integers(0, 256, (spec.height_px, spec.width_px, 3), dtype=np.uint8)
    backend = load_backend(ModelFile.read(path), candidate, 1)
    try:
        row = backend.run(preprocess([Region("", pixels)], spec))[0]
    except BackendError as error:
        raise broken(path, error) from error
    finally:
        backend.close()
    if row.shape[0] != 1 or row.size != output.width:
        raise BundleError(f"{path}: one picture gives an output of shape {row.shape}, but there are {output.width} labels")
    scores = class_probabilities(row, output)
    if not np.isfinite(scores).all():
        raise BundleError(f"{path}: one picture gives scores that are not finite", fix="check mean and scale in --input")
    if scores.min() < -_SLACK or scores.max() > 1 + _SLACK:
        span = f"from {scores.min():.3g} to {scores.max():.3g}"
        raise BundleError(f"{path}: scores {span} are no probabilities", fix="--output logits")
    return backend.info


def _candidate(path: Path, facts: ModelFacts, input_: InputSpec, output: OutputSpec) -> Candidate:
    """The candidate, its file not yet in the bundle."""
    size = (3, *input_.size_hw_px) if input_.layout == "NCHW" else (*input_.size_hw_px, 3)
    counts = count(path, facts.format, (1 if input_.batch == "dynamic" else input_.batch, *size))
    return Candidate(
        name=f"{facts.format}-{counts.precision}",
        model_file=FileRef(file=f"model.{facts.format}", bytes=0, sha256="0" * 64),
        format=facts.format,
        precision=counts.precision,
        int8_mac_share=counts.int8_mac_share,
        weights=counts.weights,
        macs=counts.macs,
        input=input_,
        outputs=(output,),
        requires=Requires(runtime=usual_runtime(facts.format), opset=facts.opset),
    )


def _command(model: Path, labels: Path, input_text: str | None, output: OutputMeaning | None) -> str:
    words = ["shelfcam", "bundle", "wrap", model.name, "--labels", labels.name]
    words += ["--input", input_text] if input_text else []
    words += ["--output", output] if output else []
    return shlex.join(words)


def _provenance(model: Path, ref: FileRef, command: str, runtime: RuntimeInfo) -> Provenance:
    tools = {runtime.name: runtime.version, "numpy": np.__version__}
    with contextlib.suppress(PackageNotFoundError):  # run from a source tree that is not installed
        tools["shelfcam"] = version("shelfcam")
    return Provenance(
        created_utc=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=printable(command),
        tools=tools,
        checkpoint=printable(model.name),
        checkpoint_sha256=ref.sha256,
        notes=(f"wrapped as it is from {printable(model.name)}; no float model to compare with, so no gate",),
    )


def _title(model: Path, name: str | None) -> str:
    """``name``, or the file's name made fit for a manifest."""
    if name is not None and not re.fullmatch(_NAME, name):
        raise UsageError(f"--name {name!r}: at most 64 letters, digits, '.', '_' and '-', a letter or digit first")
    return name or re.sub(r"[^A-Za-z0-9._-]+", "-", model.stem).strip("._-")[:64] or "model"
