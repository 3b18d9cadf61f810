"""Two bundles as one whose models run one after the other."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from edge.errors import UsageError
from edge.manifest import SCHEMA, Answer, Candidate, FileRef, Labels, Manifest, Model, Provenance


def join(
    first: Bundle, second: Bundle, out: Path, *, crop: str | None = None, padding: float = 0.0, name: str, replace: bool = False
) -> Bundle:
    """Write a bundle whose pipeline is that of ``first``, then that of ``second``; a bundle without one must have a single model.

    Args:
        first: asked first.
        second: asked next.
        out: the directory to make.
        crop: an answer of ``first`` whose boxes are cut out for ``second``; None: both see the same regions.
        padding: around such a box, as a share of its width and height.
        name: of the new bundle.
        replace: whether an existing ``out`` may be replaced.

    Raises:
        BundleError: one is not intact, two models or answers have the same name, or there are no such boxes.
        UsageError: several models, and no pipeline to say in which order; or a padding of nothing.
        SinkError: it cannot be written.
    """
    for bundle in (first, second):
        if not bundle.manifest.steps:
            raise UsageError(f"{bundle.directory}: holds several models and no pipeline, so their order is not known")
    if padding and crop is None:
        raise UsageError("padding is around what is cropped", fix="--crop names the answer whose boxes are cut out")
    head, *tail = second.manifest.steps
    steps = (
        *first.manifest.steps,
        msgspec.structs.replace(head, crop=crop, padding=padding) if crop is not None else head,
        *tail,
    )
    with BundleWriter(out, replace=replace) as writer:
        taken: dict[str, FileRef] = {}
        models = tuple(_copied(model, bundle, writer, taken) for bundle in (first, second) for model in bundle.manifest.models)
        writer.finish(
            Manifest(
                schema=SCHEMA,
                name=name,
                models=models,
                pipeline=steps,
                provenance=_provenance(first, second, out, crop, padding),
            )
        )
    return open_bundle(out)


def _copied(model: Model, bundle: Bundle, writer: BundleWriter, taken: dict[str, FileRef]) -> Model:
    """The model with its files in the new bundle: under their own names, or below the model's where another file has that already."""

    def ref(one: FileRef) -> FileRef:
        file = one.file
        while taken.get(file, one) != one:
            file = f"{model.name}/{file}"
        if file not in taken:
            writer.add(file, bundle.read(one))
        taken[file] = one
        return msgspec.structs.replace(one, file=file)

    def answer(one: Answer) -> Answer:
        labels = None if one.labels is None else Labels(text=ref(one.labels.text), count=one.labels.count)
        golden = None if one.golden is None else msgspec.structs.replace(one.golden, archive=ref(one.golden.archive))
        return msgspec.structs.replace(one, labels=labels, golden=golden)

    def candidate(one: Candidate) -> Candidate:
        return msgspec.structs.replace(one, model_file=ref(one.model_file))

    return msgspec.structs.replace(
        model, answers=tuple(map(answer, model.answers)), candidates=tuple(map(candidate, model.candidates))
    )


def _provenance(first: Bundle, second: Bundle, out: Path, crop: str | None, padding: float) -> Provenance:
    """Of both: how each was made stands in the notes."""
    options = [] if crop is None else ["--crop", crop, "--padding", f"{padding:g}"]
    made = [one.manifest.provenance for one in (first, second)]
    notes = [
        note
        for bundle, provenance in zip((first, second), made, strict=True)
        for note in (
            f"{bundle.manifest.name} {bundle.sha256[:12]} was made {provenance.created_utc} by: {provenance.command}",
            *(f"{bundle.manifest.name}: {note}" for note in provenance.notes),
        )
    ]
    licences = dict.fromkeys(provenance.licence for provenance in made if provenance.licence is not None)
    names = [bundle.directory.name for bundle in (first, second)]
    return Provenance(
        created_utc=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=shlex.join(["shelfcam", "bundle", "join", *names, *options, "--out", out.name]),
        tools={**made[0].tools, **made[1].tools},
        licence=" AND ".join(licences) or None,
        notes=tuple(notes),
    )
