"""The same description for ONNX and TFLite files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.backends.verify import TensorFacts
from edge.manifest import Format, Precision, WeightTensors

_NAME_CHARACTERS = 34


@dataclass(frozen=True, slots=True)
class Affine:
    """real = scale × (stored − zero_point). ``count`` scales along ``axis`` of the tensor; one scale for the whole: ``axis`` is None.

    ``zero_point`` is None where the zero points differ.
    """

    count: int
    axis: int | None
    scale_min: float
    scale_max: float
    zero_point: int | None


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator. A length of ``output_shape`` is None where the file leaves it open.

    ``weight_bytes``: its constants in the file (weights and biases; a constant that several read is counted with the first).
    ``weight_name`` and ``weight_dtype`` are of what it multiplies by, as stored. ``integer``: whether an 8-bit kernel can take it
    as stored; None for an operator that does not multiply.
    """

    index: int
    name: str
    operator: str
    output_shape: tuple[int | None, ...]
    weight_bytes: int
    macs: int
    integer: bool | None
    weight_name: str | None
    input_dtype: str | None
    weight_dtype: str | None
    output_dtype: str | None
    input_quantization: Affine | None
    weight_quantization: Affine | None
    output_quantization: Affine | None


@dataclass(frozen=True, slots=True)
class Total:
    """A line of a sum: ``key`` is an operator or the dtype of a weight."""

    key: str
    layers: int
    weight_bytes: int
    macs: int


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A whole file. ``versions``: of the format (IR and opsets, or the schema), and who made the file. ``quantizers``: how many
    quantize and dequantize operators stand between the layers of an ONNX file; they are not layers.

    ``macs`` of one picture. ``int8_mac_share`` counts what is stored; ``int8_mac_share_run`` what the runtime makes of it: for ONNX
    in the graph as ONNX Runtime has optimised it, for TFLite the file's own operators are those that run. It is None, and
    ``run_failure`` says why, where that runtime is missing or refuses the file. ``assumed`` names open lengths and what they were
    counted as.
    """

    file: str
    bytes: int
    format: Format
    precision: Precision
    versions: dict[str, str]
    metadata: dict[str, str]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    macs: int
    int8_mac_share: float
    int8_mac_share_run: float | None
    run_failure: str | None
    weights: WeightTensors
    assumed: str | None
    quantizers: int
    layers: tuple[Layer, ...]
    by_operator: tuple[Total, ...]
    by_weight_dtype: tuple[Total, ...]


def affine(scales: npt.ArrayLike, zero_points: npt.ArrayLike, axis: int | None) -> Affine | None:
    """From a tensor's scales and zero points; None if it has none."""
    scale, zero = np.ravel(np.asarray(scales, dtype=np.float64)), np.ravel(np.asarray(zero_points))
    if not len(scale):
        return None
    zeros = {int(value) for value in zero} or {0}
    return Affine(
        count=len(scale),
        axis=axis if len(scale) > 1 else None,
        scale_min=float(scale.min()),
        scale_max=float(scale.max()),
        zero_point=zeros.pop() if len(zeros) == 1 else None,
    )


def totals(pairs: Iterable[tuple[str, Layer]]) -> tuple[Total, ...]:
    """Sum layers by their key: most multiply-accumulates first, then the heaviest."""
    sums: dict[str, list[int]] = {}
    for key, layer in pairs:
        row = sums.setdefault(key, [0, 0, 0])
        for place, value in enumerate((1, layer.weight_bytes, layer.macs)):
            row[place] += value
    return tuple(sorted((Total(k, *row) for k, row in sums.items()), key=lambda t: (-t.macs, -t.weight_bytes, t.key)))


def by_operator(layers: Sequence[Layer]) -> tuple[Total, ...]:
    """Sums by operator."""
    return totals((layer.operator, layer) for layer in layers)


def by_weight_dtype(layers: Sequence[Layer]) -> tuple[Total, ...]:
    """Sums by the dtype of the weights, of the layers that multiply; "computed" where both operands are."""
    return totals((layer.weight_dtype or "computed", layer) for layer in layers if layer.integer is not None)


def short_name(name: str) -> str:
    """For tables: TFLite names are paths of classes, joined with semicolons where operators were fused. The last parts say most."""
    first = next((piece for piece in name.split(";") if piece), name)
    parts = [part.rsplit(".", 1)[-1] if first.count("/") else part for part in first.split("/")]
    short = "/".join(parts[-2:])
    return short if len(short) <= _NAME_CHARACTERS else "…" + short[-_NAME_CHARACTERS + 1 :]
