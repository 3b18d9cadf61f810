"""``shelfcam explain``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from edge import console, models
from edge.commands import options
from edge.errors import SinkError, UsageError
from edge.files import write_atomic
from edge.images import list_images, read_rgb
from export.explain.picture import ExplainedModel, ExplainSettings, Explanation, Fill, Method, explain, finite, lines
from export.load.options import NO_OPTIONS, ModelOptions
from export.tasks import task_of

if TYPE_CHECKING:
    from export.explain.sheet import Sheet
    from export.load.model import FloatModel

_AT_LEAST_1 = validators.Number(gte=1)


def explain_command(
    spec: Annotated[str | None, Parameter(help="A float network instead of a bundle: as for shelfcam export.")] = None,
    /,
    *,
    image: Annotated[Path | None, Parameter(help="Photo whose decision is explained.")] = None,
    method: Annotated[
        Method, Parameter(help="grad-cam needs a SPEC; the others look at the model from outside.")
    ] = "occlusion",
    label: Annotated[str | None, Parameter(help="Class to explain; the best one by default.")] = None,
    layer: Annotated[str | None, Parameter(help="Layer of the SPEC: for grad-cam, or with --images.")] = None,
    images: Annotated[Path | None, Parameter(help="Photos to look for the patches in that excite --layer most.")] = None,
    list_layers: Annotated[bool, Parameter(negative="", help="Name the layers of the SPEC.")] = False,
    out: Annotated[Path | None, Parameter(help="PNG to write: heat.png, or sheet.png with --images.")] = None,
    patch: Annotated[
        int | None, Parameter(help="Side of the hiding patch, in pixels of the model's input.", validator=_AT_LEAST_1)
    ] = None,
    stride: Annotated[
        int | None, Parameter(help="From one patch to the next; a quarter of a patch by default.", validator=_AT_LEAST_1)
    ] = None,
    masks: Annotated[int, Parameter(help="Random masks of rise.", validator=_AT_LEAST_1)] = 1000,
    fill: Annotated[Fill, Parameter(help="What hidden pixels become.")] = "grey",
    channels: Annotated[int, Parameter(help="Rows of the sheet.", validator=_AT_LEAST_1)] = 16,
    bundle: options.BundleOption = None,
    model: options.ModelOption = None,
    candidate: options.CandidateOption = None,
    threads: options.ThreadsOption = None,
    network: ModelOptions = NO_OPTIONS,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Which pixels carried a decision; or what the channels of a layer look for.

    A heat map over the photo, made with the deployed model itself: parts are hidden, and the score is watched. The frame is what the
    model sees of the photo. With `--layer` and `--images`: a contact sheet of the patches that excite each channel most.

    **Examples**

        shelfcam explain --image shelf.jpg --bundle my-bundle --candidate tflite-int8
        shelfcam explain --image shelf.jpg --method rise --label "Granny-Smith" --out why.png
        shelfcam explain efficientnet_lite0 --pretrained --image cat.jpg --method grad-cam
        shelfcam explain efficientnet_lite0 --pretrained --list-layers
        shelfcam explain efficientnet_lite0 --pretrained --layer _conv_stem --images photos --out stem.png
    """
    if spec is not None and (bundle or model or candidate):
        raise UsageError("a SPEC stands for a float network: --bundle, --model and --candidate do not go with it")
    if list_layers or images is not None:
        float_model = _load(spec, network)
        if list_layers:
            _list(float_model, json=json)
            return
        if layer is None or images is None:
            raise UsageError("--images needs --layer", fix="--list-layers names them")
        _sheet(float_model, layer, list_images(images), channels, _target(out, "sheet.png", force), json=json)
        return
    if image is None:
        raise UsageError("there is nothing to explain", fix="--image PHOTO, or a SPEC with --layer NAME --images DIR")
    if layer is not None and method != "grad-cam":
        raise UsageError("--layer goes with --method grad-cam, or with --images")
    target = _target(out, "heat.png", force)
    photo = read_rgb(image)
    deployed = spec is None
    subject = _deployed_subject(bundle, model, candidate, threads) if deployed else _float_subject(_load(spec, network), layer)
    settings = ExplainSettings(method, patch, stride, masks, network.seed, fill)
    with console.progress() as bars:
        explanation, heat = explain(subject, photo, label, settings, console.Bars(bars))
    from export.explain.draw import heat_png

    title = f"{explanation.label}  {explanation.score:.3f}   ({subject.name})"
    content = heat_png(
        photo, explanation.seen, heat, top=explanation.top, chosen=explanation.index, title=title, lines=lines(explanation)
    )
    write_atomic(target, content)
    _tell(explanation, target, seen=finite(heat), json=json)


def _target(out: Path | None, default: str, force: bool) -> Path:
    """Asked before the work, not after it."""
    target = out or Path(default)
    if target.exists() and not force:
        raise SinkError(f"{target}: already exists", fix="give another file with --out, or --force to replace it")
    return target


def _load(spec: str | None, network: ModelOptions) -> FloatModel:
    if spec is None:
        raise UsageError("layers are those of a float network", fix="name it: shelfcam explain SPEC …; a bundle has none")
    from export.load.model import need_torch

    need_torch()
    from export.load.assemble import load

    return load(network.spec(spec))


def _deployed_subject(bundle: Path | None, model: str | None, candidate: str | None, threads: int | None) -> ExplainedModel:
    from export.explain.probabilities import deployed

    site = options.site(None, bundle=bundle, model=model, candidate=candidate, threads=threads)
    opened = models.find_bundle(site)
    found = models.find_model(opened, site.model.name)
    active = models.load_model(site)
    entry = models.find_candidate(found, active.candidate)
    score = deployed(active.backend, active.input, found.first.of(entry.outputs)[0])
    name = f"{found.name}/{entry.name}"
    return ExplainedModel(name, active.input.size_hw_px, active.input.resize.fit, opened.labels(found.first), score)


def _float_subject(model: FloatModel, layer: str | None) -> ExplainedModel:
    from export.explain.grad_cam import grad_cam
    from export.explain.probabilities import float_network
    from export.explain.torch_layers import last_convolution

    task = task_of(model.task)
    if not task.picks_class:
        raise UsageError(f"{model.name}: {task.noun} makes no decision that could be explained", fix="--layer with --images")
    return ExplainedModel(
        f"{model.name}, float",
        model.size_hw_px,
        model.fit,
        model.labels,
        float_network(model),
        lambda image, index: grad_cam(model, image, index, layer or last_convolution(model)),
    )


def _list(model: FloatModel, *, json: bool) -> None:
    from export.explain.torch_layers import list_layers

    found = list_layers(model)
    if not found:
        raise UsageError(
            f"{model.name}: its format hides its layers", fix="give the network as a zoo name or package.module:factory"
        )
    if json:
        return console.print_json(found)
    rows = [(layer.name, layer.kind, "×".join(map(str, layer.output_shape))) for layer in found]
    return console.print_table(f"Layers of {model.name}", ["layer", "kind", "output"], rows)


def _sheet(model: FloatModel, layer: str, files: Sequence[Path], channels: int, target: Path, *, json: bool) -> None:
    from export.explain.sheet import contact_sheet

    with console.progress() as bars:
        sheet, content, unreadable = contact_sheet(model, layer, files, channels, console.Bars(bars))
    write_atomic(target, content)
    for reason in unreadable:
        console.stderr().print(f"left out: {reason}", soft_wrap=True, markup=False)
    if json:
        return console.print_json({"sheet": str(target), **_as_dict(sheet)})
    return console.print_line(f"{target}: {len(sheet.channels)} channels of {layer}, {sheet.about}")


def _as_dict(sheet: Sheet) -> dict[str, Any]:
    return {"layer": sheet.layer, "field": sheet.field, "pictures": sheet.pictures, "channels": sheet.channels}


def _tell(explanation: Explanation, target: Path, *, seen: bool, json: bool) -> None:
    if json:
        return console.print_json({"heat": str(target), "explanation": explanation})
    console.print_line(f"{target}: {explanation.label} {explanation.score:.3f} by {explanation.model}")
    for line in lines(explanation)[:-2]:
        console.print_line(f"  {line}")
    if not seen:
        console.print_line("  the map is empty: nothing that was hidden lowered the score")
    return None
