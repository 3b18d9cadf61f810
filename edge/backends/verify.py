"""What both backends do the same way: hold a file against its manifest, and run a fixed batch over any number of crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge.bundle.model_file import ModelFile
from edge.data import RawOutputs, Tensor
from edge.errors import BackendError, BundleError
from edge.manifest import Candidate, InputSpec, OutputSpec, Quantization

Dim = int | None
"""A length, or None where the file leaves it open until it runs."""


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One input or output as the file itself declares it. ``quantization`` is None for float tensors and wherever the format
    does not say (ONNX)."""

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    quantization: Quantization | None = None


def check_input(file: ModelFile, spec: InputSpec, inputs: Sequence[TensorFacts]) -> None:
    """Raises BundleError unless the file has exactly the one input that the manifest describes."""
    if len(inputs) != 1:
        raise BundleError(f"{file.name}: the manifest describes 1 input, the file has {len(inputs)}: {_names(inputs)}")
    found = inputs[0]
    _same(file, "input name", spec.name, found.name)
    _same(file, f"dtype of input {spec.name}", spec.dtype, found.dtype)
    batch: Dim = None if spec.batch == "dynamic" else spec.batch
    pixels = (spec.height_px, spec.width_px)
    expected: tuple[Dim, ...] = (batch, 3, *pixels) if spec.layout == "NCHW" else (batch, *pixels, 3)
    if len(found.shape) != 4 or found.shape[0] != batch or not _fits(found.shape[1:], expected[1:]):
        _same(file, f"shape of input {spec.name} ({spec.layout})", _show(expected), _show(found.shape))


def check_outputs(file: ModelFile, specs: Sequence[OutputSpec], outputs: Sequence[TensorFacts]) -> None:
    """Raises BundleError unless the file's outputs are those of the manifest, in any order; quantization is not looked at."""
    by_name = {facts.name: facts for facts in outputs}
    if set(by_name) != {spec.name for spec in specs}:
        _same(file, "outputs", ", ".join(spec.name for spec in specs), _names(outputs))
    for spec in specs:
        found = by_name[spec.name]
        _same(file, f"dtype of output {spec.name}", spec.dtype, found.dtype)
        open_rank = not found.shape  # ONNX Runtime shows a shape that the file leaves open altogether as one of no lengths
        if not open_rank and not _fits(found.shape[1:], spec.shape):
            _same(file, f"shape of output {spec.name}", _show(spec.shape), _show(found.shape[1:]))


def check_quantization(file: ModelFile, what: str, spec: Quantization | None, found: Quantization | None) -> None:
    """Raises BundleError unless scale and zero point are the same, to float32 accuracy."""
    if spec is None and found is None:
        return
    same = spec and found and spec.zero_point == found.zero_point and np.isclose(spec.scale, found.scale, rtol=1e-6, atol=0)
    if not same:
        _same(file, f"quantization of {what}", _affine(spec), _affine(found))


def run_fixed(batch: Tensor, fixed: int, once: Callable[[Tensor], RawOutputs]) -> RawOutputs:
    """Run N×… rows through a model that takes ``fixed`` rows a call; the last call is filled up by repeating its last row.

    ``once`` must return arrays that later calls do not overwrite.
    """
    count = len(batch)
    if count == fixed:
        return once(batch)
    parts = []
    for start in range(0, count, fixed):
        rows = batch[start : start + fixed]
        if len(rows) < fixed:
            rows = np.concatenate([rows, np.repeat(rows[-1:], fixed - len(rows), axis=0)])
        parts.append(once(rows))
    return tuple(np.concatenate(column)[:count] for column in zip(*parts, strict=True))


def check_rows(raw: RawOutputs, specs: Sequence[OutputSpec], rows: int, runtime: str) -> None:
    """A graph may compute the shapes of its answers from the picture. Raises BackendError unless each has ``rows`` rows of its shape."""
    for values, spec in zip(raw, specs, strict=True):
        if values.shape != (rows, *spec.shape):
            raise BackendError(
                f"{runtime}: output {spec.name} has the shape {_show(values.shape)}, not {_show((rows, *spec.shape))}"
            )


def model_error(candidate: Candidate, file: ModelFile, runtime: str, reason: object) -> BundleError:
    """The file cannot be loaded at all."""
    return BundleError(
        f"{file.name}: {runtime} cannot load candidate {candidate.name}: {_one_line(reason)}",
        fix="export or wrap the model again; if the file came over a network, copy it again",
    )


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split())[:400]


def _same(file: ModelFile, what: str, says: object, has: object) -> None:
    if says != has:
        raise BundleError(f"{file.name}: {what}: the manifest says {says}, the file has {has}")


def _fits(shape: Sequence[Dim], expected: Sequence[Dim]) -> bool:
    """A length that the file leaves open fits anything."""
    return len(shape) == len(expected) and all(a is None or a == b for a, b in zip(shape, expected, strict=True))


def _show(shape: Sequence[Dim]) -> str:
    return "×".join("dynamic" if length is None else str(length) for length in shape)


def _names(facts: Sequence[TensorFacts]) -> str:
    return ", ".join(item.name for item in facts) or "none"


def _affine(quantization: Quantization | None) -> str:
    return "none" if quantization is None else f"scale {quantization.scale:.8g} zero point {quantization.zero_point}"
