"""A manifest and a labels file from bytes that a stranger wrote: strictly, and within ``edge.bundle.limits``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from edge import strict
from edge.bundle.golden import GOLDEN_MIN_IMAGES, IMAGES
from edge.bundle.limits import CAMERA, MANIFEST_MAX_BYTES, MAX_FILES, BundleLimits
from edge.bundle.runtimes import check_runtime
from edge.errors import BundleError
from edge.manifest import INT8_MAC_SHARE_MIN, MANIFEST_NAME, SCHEMA, Answer, Candidate, FileRef, Manifest, Model, Normalisation
from edge.tasks import task_of
from edge.text import has_control

MAX_INPUT_VALUES = 100_000_000
"""Of one batch: 4 × 3 × 2,900 × 2,900. A manifest can ask for no more memory than that."""

MAX_OUTPUT_VALUES = 2**24
"""Of one output for one picture."""


def parse_manifest(content: bytes, path: Path, limits: BundleLimits = CAMERA) -> Manifest:
    """``path`` is only named in errors.

    Raises:
        BundleError: not JSON, another schema, an unknown key, a wrong type, facts that contradict each other, a control character in a
            text, a runtime that is not of ``edge.bundle.runtimes`` or an option that no bundle may set, or files larger than ``limits``.
    """
    if len(content) > MANIFEST_MAX_BYTES:
        raise BundleError(f"{path}: larger than {MANIFEST_MAX_BYTES:,} bytes")
    try:
        data: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON: {error}") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int:
        raise BundleError(f"{path}: schema: missing or not a whole number", fix=f"this version reads schema {SCHEMA}")
    if schema != SCHEMA:
        raise BundleError(
            f"{path}: schema {schema} is unknown; this version of shelfcam reads schema {SCHEMA}",
            fix="update shelfcam" if schema > SCHEMA else "export the bundle again",
        )
    _refuse_control(data, path)
    manifest = strict.convert(data, Manifest, path, BundleError)
    _check_consistent(manifest, path)
    _check_sizes(manifest, path, limits)
    return manifest


def parse_labels(content: bytes, name: str) -> tuple[str, ...]:
    """One label a line, in the order of the model's outputs; ``name`` is only named in errors.

    Raises:
        BundleError: not UTF-8, or a control character in a line.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{name}: labels are not UTF-8: {error}") from error
    lines = text.replace("\r\n", "\n").split("\n")
    labels = tuple(lines[:-1] if lines[-1] == "" else lines)
    for number, label in enumerate(labels, 1):
        if has_control(label):
            raise BundleError(f"{name}: line {number}: {_shown(label)} holds a character that cannot be shown", fix=_FIX)
    return labels


_FIX = "leave out control characters and those that turn the direction of writing"


_MAX_MANIFEST_DEPTH = 16
"""Of tables and lists in each other; what the manifest's types know has 9."""


def _refuse_control(data: Any, path: Path) -> None:
    """Of keys too: they are shown in errors and tables like everything else. Without recursion, and without words for places that are
    in order: a deep file of many values would have more of them than memory."""
    waiting: list[Iterator[tuple[str | int, Any]]] = [iter([("", data)])]
    place: list[str | int] = [""]
    while waiting:
        place[-1], value = next(waiting[-1], ("", _END))
        if value is _END:
            waiting.pop()
            place.pop()
            continue
        if isinstance(value, str):
            if has_control(value):
                raise BundleError(f"{path}: {_place(place)}: {_shown(value)} holds a character that cannot be shown", fix=_FIX)
        elif isinstance(value, dict | list):
            for key in value if isinstance(value, dict) else ():
                if has_control(key):
                    raise BundleError(
                        f"{path}: {_place(place) or 'top'}: the key {_shown(key)} holds a character that cannot be shown",
                        fix=_FIX,
                    )
            if len(waiting) > _MAX_MANIFEST_DEPTH:
                raise BundleError(f"{path}: tables and lists lie in each other more than {_MAX_MANIFEST_DEPTH} deep")
            waiting.append(iter(value.items()) if isinstance(value, dict) else enumerate(value))
            place.append("")


_END = object()


def _place(parts: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in parts if part != "")
    return text.removeprefix(".")


def _shown(text: str) -> str:
    return ascii(text) if len(text) <= 80 else f"{text[:80]!a}…"


def _check_sizes(manifest: Manifest, path: Path, limits: BundleLimits) -> None:
    """What the files say that they have, before one is opened."""
    files = manifest.files()
    if len(files) > MAX_FILES:
        raise BundleError(f"{path}: names {len(files):,} files, at most {MAX_FILES:,} may be in a bundle")
    for model in manifest.models:
        parts = [("a model file", candidate.model_file, limits.model) for candidate in model.candidates]
        for answer in model.answers:
            parts += [("a labels file", answer.labels.text, limits.labels)] if answer.labels else []
            parts += [("a golden set", answer.golden.archive, limits.golden)] if answer.golden else []
        for what, ref, most in parts:
            if ref.bytes > most:
                raise BundleError(f"{path}: {ref.file} has {ref.bytes:,} bytes, but {what} may have at most {most:,}")
    total = sum(ref.bytes for ref in files.values())
    if total > limits.total:
        raise BundleError(f"{path}: the files have {total:,} bytes together, but a bundle may have at most {limits.total:,}")


def _check_consistent(manifest: Manifest, path: Path) -> None:
    """What types cannot say: unique names, one truth per file, sensible outputs."""
    _refuse_twice([m.name for m in manifest.models], f"{path}: models")
    seen: dict[str, FileRef] = {}
    for model in manifest.models:
        where = f"{path}: models[{model.name}]"
        _refuse_twice([c.name for c in model.candidates], f"{where}.candidates")
        refs = [c.model_file for c in model.candidates]
        refs += [answer.labels.text for answer in model.answers if answer.labels]
        for ref in refs + [answer.golden.archive for answer in model.answers if answer.golden]:
            if seen.setdefault(ref.file, ref) != ref or ref.file == MANIFEST_NAME:
                raise BundleError(f"{path}: {ref.file} is named twice with different sizes or hashes")
        _check_model(model, where)
    _check_pipeline(manifest, f"{path}: pipeline")
    folders = {parent.as_posix() for file in seen for parent in Path(file).parents}
    both = sorted(folders & {*seen, MANIFEST_NAME})
    if both:
        raise BundleError(f"{path}: {both[0]} is named as a file and as a folder")


def _check_pipeline(manifest: Manifest, where: str) -> None:
    """Each step's model is there, and what it cuts out was found before it."""
    _refuse_twice([step.model for step in manifest.pipeline], where)
    models = {model.name: model for model in manifest.models}
    found: dict[str, Answer] = {}
    for step in manifest.pipeline:
        if step.model not in models:
            raise BundleError(f"{where}: there is no model {step.model!r}")
        if step.crop is None and step.padding:
            raise BundleError(f"{where}: {step.model} has a padding, but crops nothing")
        if step.crop is not None and (step.crop not in found or found[step.crop].detection is None):
            raise BundleError(f"{where}: {step.model} crops {step.crop!r}, but no model before it finds boxes under that name")
        for answer in models[step.model].answers:
            if found.setdefault(answer.name, answer) is not answer:
                raise BundleError(f"{where}: the answer {answer.name!r} is given twice", fix="give one of them another name")


def _check_model(model: Model, where: str) -> None:
    _refuse_twice([answer.name for answer in model.answers], f"{where}.answers")
    for candidate in model.candidates:
        _check_candidate(candidate, f"{where}.candidates[{candidate.name}]")
    for answer in model.answers:
        _check_answer(answer, model, f"{where}.answers[{answer.name}]")


def _check_answer(answer: Answer, model: Model, where: str) -> None:
    try:
        task = task_of(answer.task)
    except ValueError as error:
        raise BundleError(f"{where}: {error}") from None
    if (answer.gate is None) != (answer.golden is None):
        raise BundleError(f"{where}: a gate needs a golden set, and a golden set a gate")
    if answer.golden is not None and answer.golden.images < GOLDEN_MIN_IMAGES:
        raise BundleError(f"{where}.golden: {answer.golden.images} pictures, at least {GOLDEN_MIN_IMAGES} are needed")
    if answer.golden is not None and answer.golden.expected == IMAGES:
        raise BundleError(f"{where}.golden: expected: {IMAGES!r} are the pictures themselves")
    shapes = set()
    for candidate in model.candidates:
        if max(answer.outputs) >= len(candidate.outputs):
            raise BundleError(f"{where}: candidate {candidate.name} has no output {max(answer.outputs)}, counted from 0")
        outputs = answer.of(candidate.outputs)
        try:
            task.check(answer, outputs)
        except ValueError as error:
            raise BundleError(f"{where}: candidate {candidate.name}: {error}") from None
        shapes.add(task.row_shape(outputs))
    if len(shapes) > 1:
        raise BundleError(f"{where}: candidates give rows of different shapes")


def _check_candidate(candidate: Candidate, where: str) -> None:
    for output in candidate.outputs:
        if output.width > MAX_OUTPUT_VALUES:
            raise BundleError(
                f"{where}: output {output.name}: {output.width:,} values a picture, at most {MAX_OUTPUT_VALUES:,} are read"
            )
    share, precision = candidate.int8_mac_share, candidate.precision
    counted = "int8" if share >= INT8_MAC_SHARE_MIN else "mixed" if share > 0 else "float"
    if counted != ("float" if precision in ("fp32", "fp16") else precision):
        raise BundleError(f"{where}: precision is {precision!r}, but int8_mac_share {share:.3f} makes it {counted}")
    check_runtime(candidate, where)
    spec = candidate.input
    if isinstance(spec.normalise, Normalisation) and 0 in spec.normalise.scale:
        raise BundleError(f"{where}: input.normalise.scale holds a 0")
    values = prod((3, *spec.size_hw_px, 1 if spec.batch == "dynamic" else spec.batch))
    if values > MAX_INPUT_VALUES:
        raise BundleError(f"{where}: input: {values:,} values a batch, at most {MAX_INPUT_VALUES:,} can be fed")


def _refuse_twice(names: list[str], where: str) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise BundleError(f"{where}: the name {twice[0]!r} stands twice")
