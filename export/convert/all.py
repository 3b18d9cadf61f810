"""One network → the files that were asked for, with what they share made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from edge.data import U8Image
from edge.errors import SinkError
from export.candidates import Draft, Plan, describe
from export.convert import onnx_dynamic, onnx_half, onnx_metadata, tflite_graph, tflite_metadata, to_onnx, to_tflite
from export.convert.options import QuantizeOptions
from export.convert.workshop import Workshop
from export.load.model import FloatModel
from export.progress import Progress
from export.tasks import task_of


def convert(model: FloatModel, images: U8Image, plans: Sequence[Plan], folder: Path, progress: Progress) -> list[Draft]:
    """A draft for each plan with its default options; candidates that share a file share the work.

    Args:
        model: the float network.
        images: calibration pictures, N×H×W×3 uint8 RGB at the model's size.
        plans: what to make.
        folder: an existing directory that the files are written into.
        progress: told about every step.

    Raises:
        DataError: the network holds an operator that a converter cannot take.
        BundleError: a written file does not run.
    """
    workshop = Workshop(model, images, progress)
    return [convert_one(workshop, plan, plan.default_options(), folder) for plan in plans]


def convert_one(workshop: Workshop, plan: Plan, options: QuantizeOptions | None, folder: Path) -> Draft:
    """One file for one plan, with its manifest entry, not judged.

    Args:
        workshop: of the network; keeps what other plans and other options can use again.
        plan: what to make.
        options: how an ``int8`` plan is quantized; None for every other plan.
        folder: an existing directory that the file is written into. A file that is there is taken as it is.

    Returns:
        A draft whose plan has another ``file`` if ``options`` are not the plan's own: so plans that share a file still do
        where they are quantized alike, and part where they are not.

    Raises:
        DataError: the network holds an operator that a converter cannot take.
        BundleError: the written file does not run.
        SinkError: the disk is full, or the folder cannot be written to.
        ValueError: ``options`` do not fit the plan.
    """
    if (options is None) != (plan.arithmetic != "int8"):
        raise ValueError(f"{plan.name} is {plan.arithmetic}: its options cannot be {options}")
    plan = replace(plan, file=variant_file(plan, options))
    path = folder / plan.file
    if not path.exists():
        try:
            (_write_onnx if plan.format == "onnx" else _write_tflite)(workshop, plan, options, path)
        except OSError as error:  # converters use scratch files as well
            path.unlink(missing_ok=True)  # half a file would be taken for a whole one
            raise SinkError(
                f"{plan.name} cannot be written: {error}", fix="make room, or set TMPDIR to a larger disk"
            ) from error
    return Draft(plan, path, describe(plan, path, workshop.model, task_of(workshop.model.task), to_onnx.OPSET))


def variant_file(plan: Plan, options: QuantizeOptions | None) -> str:
    """The plan's own file name for its own options; else with eight digits of a hash of ``options`` before the suffix."""
    if options == plan.default_options():
        return plan.file
    stem, suffix = plan.file.rsplit(".", 1)
    return f"{stem}-{hashlib.sha256(repr(options).encode()).hexdigest()[:8]}.{suffix}"


def _write_onnx(workshop: Workshop, plan: Plan, options: QuantizeOptions | None, path: Path) -> None:
    core = workshop.onnx_core(_rounding(plan)) if options is None else workshop.onnx_int8(options)
    if plan.arithmetic in _ONNX_WEIGHTS:
        core = _ONNX_WEIGHTS[plan.arithmetic](core)
    model = to_onnx.add_camera_io(core, workshop.model.task)
    onnx_metadata.add(model, workshop.model)
    onnx.save(model, path)


def _write_tflite(workshop: Workshop, plan: Plan, options: QuantizeOptions | None, path: Path) -> None:
    core = workshop.tflite_core(_rounding(plan)) if options is None else workshop.tflite_int8(options)
    if plan.arithmetic in _TFLITE_WEIGHTS:
        core = _TFLITE_WEIGHTS[plan.arithmetic](core)
    content = tflite_graph.add_camera_io(core, plan.input_dtype, plan.output_dtype, workshop.model.task)
    path.write_bytes(tflite_metadata.add(content, workshop.model, plan))


def _rounding(plan: Plan) -> QuantizeOptions | None:
    """Dynamic candidates get the rounded weights of the static ones, and so their conversion; float ones get them as they came."""
    return None if plan.weight_bits is None else QuantizeOptions(plan.weight_bits)


_ONNX_WEIGHTS: dict[str, Callable[[Any], Any]] = {
    "fp16": onnx_half.to_float16,
    "bf16": onnx_half.to_bfloat16_weights,
    "dynamic": onnx_dynamic.quantize_core,
}
_TFLITE_WEIGHTS: dict[str, Callable[[bytes], bytes]] = {
    "fp16": to_tflite.to_float16,
    "dynamic": to_tflite.to_dynamic_range,
}
