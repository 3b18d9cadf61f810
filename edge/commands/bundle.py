"""``shelfcam bundle inspect|verify|pack|unpack|join``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from edge import console, models
from edge.bundle.join import join as join_bundles
from edge.bundle.pack import pack as pack_bundle
from edge.bundle.pack import unpack as unpack_bundle
from edge.bundle.reader import Bundle, open_bundle
from edge.commands import options
from edge.manifest import Answer, Model, Step

BundleArgument = Annotated[Path, Parameter(help="Bundle directory, builtin:grocery or builtin:imagenet.")]


def inspect(bundle: BundleArgument, /, *, json: options.JsonOption = False) -> None:
    """Show what a bundle holds: models, candidates, what was measured, where it came from.

    **Examples**

        shelfcam bundle inspect my-bundle
        shelfcam bundle inspect builtin:grocery --json
    """
    opened = _opened(bundle)
    if json:
        console.print_json({"sha256": opened.sha256, "manifest": opened.manifest})
        return
    out = console.stdout()
    out.print(
        console.styled(opened.manifest.name, "bold"),
        f"{opened.sha256[:12]}, schema {opened.manifest.schema}",
        soft_wrap=True,
    )
    for model in opened.manifest.models:
        _print_model(model)
    if opened.manifest.pipeline:
        out.print(f"pipeline: {_shown(opened.manifest.pipeline)}", soft_wrap=True, markup=False)
    provenance = opened.manifest.provenance
    out.print(f"made {provenance.created_utc} by: {provenance.command}", soft_wrap=True)
    for note in provenance.notes:
        out.print(f"note: {note}", soft_wrap=True)


def verify(bundle: BundleArgument, /, *, json: options.JsonOption = False) -> None:
    """Check every file of a bundle against its manifest. Exit code 65 names the first that is missing or altered.

    **Examples**

        shelfcam bundle verify my-bundle
    """
    opened = _opened(bundle)
    opened.verify()
    files = opened.manifest.files()
    if json:
        console.print_json({"ok": True, "sha256": opened.sha256, "files": len(files)})
    else:
        console.print_line(f"{bundle}: intact, {len(files)} files, {opened.sha256[:12]}")


def pack(
    bundle: BundleArgument,
    /,
    *,
    out: Annotated[Path, Parameter(help="The .zip to write.")],
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Verify a bundle and pack it as one .zip; the same bundle always gives the same bytes.

    **Examples**

        shelfcam bundle pack my-bundle --out my-bundle.zip
    """
    opened = _opened(bundle)
    pack_bundle(opened, out, replace=force)
    if json:
        console.print_json({"path": str(out), "bytes": out.stat().st_size, "sha256": opened.sha256})
    else:
        console.print_line(f"{out}: {out.stat().st_size:,} bytes")


def unpack(
    archive: Annotated[Path, Parameter(help="The .zip.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Directory to make.")],
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Unpack a bundle's .zip into a directory, verified; a zip that is not exactly what its manifest says is refused.

    **Examples**

        shelfcam bundle unpack my-bundle.zip --out my-bundle
    """
    opened = unpack_bundle(archive, out, replace=force)
    if json:
        console.print_json({"path": str(out), "sha256": opened.sha256, "files": len(opened.manifest.files())})
    else:
        console.print_line(f"{out}: {opened.manifest.name} {opened.sha256[:12]}, {len(opened.manifest.files())} files")


def join(
    first: Annotated[Path, Parameter(help="Bundle whose model is asked first.")],
    second: Annotated[Path, Parameter(help="Bundle whose model is asked next.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Directory to make.")],
    crop: Annotated[str | None, Parameter(help="An answer of the first: its boxes are cut out for the second.")] = None,
    padding: Annotated[
        float,
        Parameter(
            help="Around such a box, as a share of its width and height.",
            validator=validators.Number(gte=0, lte=2),
        ),
    ] = 0.0,
    name: Annotated[str | None, Parameter(help="Of the new bundle; by default the name of `--out`.")] = None,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Make one bundle of two: a pipeline in which what a camera sees goes through the first one's model, then through the second's.

    **Examples**

        shelfcam bundle join finder classifier --crop things --padding 0.1 --out both
        shelfcam bundle join classifier embedder --out both
    """
    joined = join_bundles(
        _opened(first), _opened(second), out, crop=crop, padding=padding, name=name or out.resolve().name, replace=force
    )
    if json:
        console.print_json({"path": str(out), "sha256": joined.sha256, "pipeline": joined.manifest.pipeline})
    else:
        console.print_line(f"{out}: {_shown(joined.manifest.pipeline)}, {joined.sha256[:12]}")


def _opened(bundle: Path) -> Bundle:
    return open_bundle(models.bundle_directory(str(bundle)))


def _shown(pipeline: Sequence[Step]) -> str:
    """ "finder → colour (crops things + 10 %)"."""
    words = []
    for step in pipeline:
        padding = f" + {step.padding:.0%}" if step.padding else ""
        words.append(step.model if step.crop is None else f"{step.model} (crops {step.crop}{padding})")
    return " → ".join(words)


def _said(answer: Answer) -> str:
    gate = answer.gate
    words = [answer.task if answer.name == answer.task else f"{answer.name} ({answer.task})"]
    words.append(f"{answer.labels.count} labels" if answer.labels else "no labels")
    words.append(f"gate: cosine ≥ {gate.logit_cosine_min}, agreement ≥ {gate.top1_agreement_min}" if gate else "no gate")
    words.append(f"{answer.golden.images} golden pictures ({answer.golden.source})" if answer.golden else "no golden set")
    return ", ".join(words)


def _print_model(model: Model) -> None:
    rows = []
    for c in model.candidates:
        worst = min(c.quality, key=lambda q: q.logit_cosine, default=None)
        shape = f"{c.input.batch}×{c.input.height_px}×{c.input.width_px} {c.input.layout} {c.input.dtype}"
        quality = ("–", "–") if worst is None else (f"{worst.logit_cosine:.3f}", f"{worst.top1_agreement:.3f}")
        weights = f"{c.weights.tensors_8bit}/{c.weights.tensors}"
        rows.append(
            (c.name, f"{c.model_file.bytes / 1e6:.2f}", c.precision, f"{c.int8_mac_share:.1%}", weights, shape, *quality)
        )
    title = f"{model.name}: weights {model.weights}; " + "; ".join(map(_said, model.answers))
    columns = ["candidate", ">MB", "precision", ">8-bit MACs", ">8-bit weights", "input", ">cosine", ">agreement"]
    console.print_table(title, columns, rows)
