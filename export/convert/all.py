"""One network → all the files that were asked for, each step done once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from edge.data import U8Image
from export.candidates import Draft, Plan, describe
from export.convert import quantize_onnx, quantize_tflite, tflite_graph, to_onnx, to_tflite
from export.convert.options import WeightBits
from export.convert.rounding import Layer, round_weights, statistics
from export.load.model import FloatModel
from export.progress import Progress


def convert(model: FloatModel, images: U8Image, plans: Sequence[Plan], folder: Path, progress: Progress) -> list[Draft]:
    """A draft for each plan; candidates that share a file share the work.

    Args:
        model: the float network.
        images: calibration pictures, N×H×W×3 uint8 RGB at the model's size.
        plans: what to make.
        folder: an existing directory that the files are written into.
        progress: told about every step.
    """
    layers: list[Layer] = []
    if any(plan.weight_bits for plan in plans):
        layers = statistics(model, images, progress("layer statistics", len(images)))
    drafts = []
    for plan in plans:
        path = folder / plan.file
        if not path.exists():
            rounded = model if plan.weight_bits is None else _rounded(model, layers, plan.weight_bits, progress)
            if plan.format == "onnx":
                _write_onnx(rounded, images, plan.weight_bits, path, progress)
            else:
                _write_tflite(rounded, images, plan.weight_bits, path, progress)
        drafts.append(Draft(plan, path, describe(plan, path, model.size_hw_px, len(model.labels), to_onnx.OPSET)))
    return drafts


def _rounded(model: FloatModel, layers: list[Layer], weight_bits: WeightBits, progress: Progress) -> FloatModel:
    advance = progress(f"rounding weights to {weight_bits} bits", len(layers))
    return round_weights(model, layers, weight_bits=weight_bits, advance=advance)


def _write_onnx(model: FloatModel, images: U8Image, bits: WeightBits | None, path: Path, progress: Progress) -> None:
    advance = progress("PyTorch to ONNX", 1)
    core = to_onnx.core_to_onnx(model)
    advance()
    if bits is not None:
        core = quantize_onnx.quantize_core(core, images, weight_bits=bits, advance=progress("calibrating ONNX", len(images)))
    onnx.save(to_onnx.add_camera_io(core), path)


def _write_tflite(model: FloatModel, images: U8Image, bits: WeightBits | None, path: Path, progress: Progress) -> None:
    advance = progress("PyTorch to TFLite", 1)
    core = to_tflite.core_to_tflite(model)
    advance()
    if bits is not None:
        core = quantize_tflite.quantize_core(core, images, advance=progress("calibrating TFLite", len(images)))
    path.write_bytes(tflite_graph.add_camera_io(core))
