"""``shelfcam inspect``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

from edge import console
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import open_bundle
from edge.commands import options
from edge.models import bundle_directory
from export.inspect.describe import OPEN_LENGTH_PX, describe
from export.inspect.description import Affine, Layer, ModelDescription, Total, short_name

if TYPE_CHECKING:
    pass

_BYTES_PER_MB = 1_000_000
_PIPED_COLUMNS = 180

Sort = Literal["order", "macs", "weight"]


def inspect_command(
    model: Annotated[
        Path,
        Parameter(help="ONNX or TFLite file; or a bundle's directory or builtin:NAME: then each of its files."),
    ],
    /,
    *,
    sort: Annotated[Sort, Parameter(help="Layers in the order they run, or the heaviest first.")] = "order",
    top: Annotated[int | None, Parameter(help="Only so many layers.", validator=validators.Number(gte=1))] = None,
    open_length: Annotated[
        int, Parameter(help="What an open height or width is counted as, in pixels.", validator=validators.Number(gte=1))
    ] = OPEN_LENGTH_PX,
    json: options.JsonOption = False,
) -> None:
    """What a model file holds: layers, weights, multiply-accumulates, dtypes, quantization.

    The share of 8-bit multiply-accumulates is counted twice: as stored, and as the runtime really computes.

    **Examples**

        shelfcam inspect net.onnx --sort macs --top 10
        shelfcam inspect my-bundle --json
    """
    model = bundle_directory(str(model))
    described = [(title, describe(path, runtime, open_length)) for title, path, runtime in _files(model)]
    if json:
        rows: Any = [_chosen(description, sort, top) for _, description in described]
        console.print_json(rows if model.is_dir() else rows[0])
        return
    for title, description in described:
        _print(title, _chosen(description, sort, top), len(description.layers))


def _files(model: Path) -> list[tuple[str, Path, Mapping[str, str]]]:
    """(title, file, runtime options) of a file or of a bundle's candidates; candidates that share a file and options stand together."""
    if not model.is_dir():
        return [(model.name, model, {})]
    bundle = open_bundle(model, WORKSTATION)
    found: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[list[str], Path, Mapping[str, str]]] = {}
    for entry in bundle.manifest.models:
        for candidate in entry.candidates:
            key = (candidate.model_file.file, tuple(sorted(candidate.runtime_options.items())))
            names, _, _ = found.setdefault(key, ([], bundle.path(candidate.model_file), candidate.runtime_options))
            names.append(f"{entry.name}/{candidate.name}")
    return [(f"{', '.join(names)}: {path.name}", path, runtime) for names, path, runtime in found.values()]


def _chosen(description: ModelDescription, sort: Sort, top: int | None) -> ModelDescription:
    layers: Sequence[Layer] = description.layers
    if sort == "macs":
        layers = sorted(layers, key=lambda layer: -layer.macs)
    elif sort == "weight":
        layers = sorted(layers, key=lambda layer: -layer.weight_bytes)
    return replace(description, layers=tuple(layers[:top]))


def _print(title: str, description: ModelDescription, layers: int) -> None:
    mb = f"{description.bytes / _BYTES_PER_MB:.2f} MB"
    heading = f"{title}: {mb}, {description.precision}, {layers} layers, {description.macs / 1e6:,.1f} M MACs"
    columns = [
        "#",
        "layer",
        "operator",
        "output",
        ">weights MB",
        ">M MACs",
        "in/weight/out",
        "weight scales",
        "output scale@zero",
    ]
    console.print_table(heading, columns, _rows(description.layers), console=console.wide(_PIPED_COLUMNS))
    if len(description.layers) < layers:
        console.print_line(f"{len(description.layers)} of {layers} layers")
    _print_totals("By operator", "operator", description.by_operator)
    _print_totals("By dtype of weights", "dtype", description.by_weight_dtype)
    for line in facts(description):
        console.stdout().print(line, soft_wrap=True, markup=False)


def facts(description: ModelDescription) -> list[str]:
    """What is true of the whole file, a line each."""
    weights = description.weights
    lines = [f"8-bit MACs: {description.int8_mac_share:.1%} as stored, {_run(description)}"]
    lines.append(f"8-bit weights: {weights.tensors_8bit} of {weights.tensors} tensors, {weights.elements:,} elements in all")
    if description.quantizers:
        lines.append(f"quantize and dequantize operators between the layers: {description.quantizers}")
    for what, tensors in (("input", description.inputs), ("output", description.outputs)):
        for tensor in tensors:
            quantization = tensor.quantization
            stored = f", {quantization.scale:.6g} × (stored − {quantization.zero_point})" if quantization else ""
            lines.append(f"{what} {tensor.name}: {_shape(tensor.shape)} {tensor.dtype}{stored}")
    lines += [f"{key.replace('_', ' ')}: {value}" for key, value in description.versions.items()]
    lines += [f"metadata {key}: {value}" for key, value in description.metadata.items()] or ["metadata: none"]
    return lines + ([description.assumed] if description.assumed else [])


def _run(description: ModelDescription) -> str:
    if description.format == "tflite":
        return "and these are the operators that run"
    if description.int8_mac_share_run is None:
        return f"not known as run: {description.run_failure}"
    return f"{description.int8_mac_share_run:.1%} as ONNX Runtime runs it"


def _rows(layers: Sequence[Layer]) -> list[tuple[str, ...]]:
    return [
        (
            str(layer.index),
            short_name(layer.name),
            layer.operator,
            _shape(layer.output_shape),
            f"{layer.weight_bytes / _BYTES_PER_MB:.4f}" if layer.weight_bytes else "",
            f"{layer.macs / 1e6:.2f}" if layer.macs else "",
            "/".join(_short_dtype(name) for name in (layer.input_dtype, layer.weight_dtype, layer.output_dtype)),
            _affine(layer.weight_quantization) if layer.weight_name is not None else "",
            _affine(layer.output_quantization),
        )
        for layer in layers
    ]


def _affine(q: Affine | None) -> str:
    if q is None:
        return ""
    if q.axis is None:
        return f"{q.scale_min:.3g}@{_zero(q)}"
    zeros = "" if q.zero_point == 0 else f"@{_zero(q)}"
    return f"{q.scale_min:.1e}…{q.scale_max:.1e}{zeros}, {q.count} on axis {q.axis}"


def _zero(q: Affine) -> str:
    return "various" if q.zero_point is None else str(q.zero_point)


def _short_dtype(name: str | None) -> str:
    if name is None:
        return "–"
    return name.replace("uint", "u").replace("float", "f").replace("int", "i")


def _shape(shape: Sequence[int | None]) -> str:
    return "×".join("?" if length is None else str(length) for length in shape) or "–"


def _print_totals(title: str, key: str, rows: Sequence[Total]) -> None:
    cells = [(row.key, row.layers, f"{row.weight_bytes / _BYTES_PER_MB:.3f}", f"{row.macs / 1e6:,.2f}") for row in rows]
    console.print_table(title, [key, ">layers", ">weights MB", ">M MACs"], cells)
