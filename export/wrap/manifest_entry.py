"""From what a model file says and what the caller says to the manifest's input and output. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from edge.backends.verify import TensorFacts
from edge.errors import BundleError, UsageError
from edge.manifest import InputDtype, InputSpec, Layout, Normalisation, OutputSpec, Quantization, Resize
from export.wrap.facts import ModelFacts
from export.wrap.input_text import InputHints

Normalise = Normalisation | Literal["folded"]
OutputMeaning = Literal["softmax", "logits"]

_INT8_OFFSET = 128  # an int8 model that takes whole pixels takes pixel − 128
_KNOWN_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_RANGE_TOLERANCE = 0.02  # of the range's width: 1/128 with zero point 128 spans −1…0.992


def input_spec(path: Path, facts: ModelFacts, hints: InputHints) -> InputSpec:
    """The manifest's input.

    Raises:
        BundleError: the model does not take one picture of three channels.
        UsageError: the file leaves something open that ``--input`` must say, or contradicts what it says.
    """
    if len(facts.inputs) != 1:
        raise BundleError(f"{path}: takes {len(facts.inputs)} inputs ({show(facts.inputs)}); a camera feeds one picture")
    tensor = facts.inputs[0]
    if tensor.dtype not in ("uint8", "int8", "float32"):
        raise BundleError(f"{path}: input {tensor.name} takes {tensor.dtype}; uint8, int8 and float32 can be fed")
    layout = _layout(path, tensor, facts.format == "onnx", hints.layout)
    height, width = _size_hw(path, facts, layout, hints.size_hw_px)
    normalise, quantization = feed(path, tensor, hints.normalise)
    return InputSpec(
        name=tensor.name,
        batch="dynamic" if tensor.shape[0] is None else tensor.shape[0],
        height_px=height,
        width_px=width,
        layout=layout,
        dtype=cast(InputDtype, tensor.dtype),
        colour=hints.colour,
        resize=Resize(fit=hints.fit),
        normalise=normalise,
        quantization=quantization,
    )


def feed(path: Path, tensor: TensorFacts, normalise: Normalise | None) -> tuple[Normalise, Quantization | None]:
    """How pixels become what the input stores: (normalise, quantization) of the manifest.

    A uint8 input takes raw pixels unless the caller's normalisation says otherwise: with scale 1/128 and zero point 128 the
    stored value q means (q − 128) / 128, which is (pixel − 128) / 128 of the pixel q itself. An int8 input normalises, then
    quantizes; its normalisation can be read off only where its range is one that networks are trained with.
    """
    quantization = tensor.quantization
    if tensor.dtype == "float32":
        if normalise is None:
            raise _say_normalisation(path, tensor)
        return normalise, None
    if tensor.dtype == "uint8":
        if normalise is None or normalise == "folded" or (quantization and stores_pixels(normalise, quantization)):
            return "folded", None
        if quantization is None:
            raise UsageError(f"{path}: input {tensor.name} takes raw bytes, so no mean and scale can apply", fix="--input raw")
        return normalise, quantization
    if quantization is None:
        raise BundleError(f"{path}: input {tensor.name} takes int8 but names no scale and zero point: what it means is unknown")
    if normalise is None:
        normalise = _from_range(quantization)
    if normalise is None:
        raise _say_normalisation(path, tensor)
    if normalise == "folded":
        normalise = Normalisation(mean=(0.0,) * 3, scale=(1.0,) * 3)
    return normalise, quantization


def stores_pixels(normalise: Normalisation, quantization: Quantization) -> bool:
    """Whether normalising and quantizing gives back every pixel 0…255 to within one step (tf's 127.5 against 1/128)."""
    pixels: npt.NDArray[np.float64] = np.arange(256.0)[:, None]
    real = (pixels - np.array(normalise.mean)) / np.array(normalise.scale)
    stored = np.clip(np.rint(real / quantization.scale) + quantization.zero_point, 0, 255)
    return bool(np.abs(stored - pixels).max() <= 1)


def output_spec(path: Path, facts: ModelFacts, labels: int, meaning: OutputMeaning | None) -> OutputSpec:
    """The manifest's one output of a classifier with ``labels`` classes; its width is checked if the file names it.

    Raises:
        BundleError: the outputs are not one row of ``labels`` scores.
    """
    if len(facts.outputs) != 1:
        raise BundleError(
            f"{path}: has {len(facts.outputs)} outputs ({show(facts.outputs)}); a classifier has one row of scores. "
            "Detectors and embedders cannot be wrapped as classify"
        )
    tensor = facts.outputs[0]
    if tensor.dtype not in ("uint8", "int8", "float32"):
        raise BundleError(f"{path}: output {tensor.name} is {tensor.dtype}; uint8, int8 and float32 can be read")
    if tensor.dtype != "float32" and tensor.quantization is None:
        raise BundleError(f"{path}: output {tensor.name} is {tensor.dtype} but names no scale and zero point")
    lengths = [length for length in tensor.shape[1:] if length != 1]
    if len(tensor.shape) < 2 or len(lengths) > 1:
        raise BundleError(f"{path}: output {show([tensor])} is not one row of scores per picture, so it is no classifier")
    width = lengths[0] if lengths else 1
    if width is not None and width != labels:
        raise BundleError(f"{path}: output {tensor.name} has {width} scores, but there are {labels} labels")
    return OutputSpec(
        name=tensor.name,
        shape=tuple(1 if length == 1 else labels for length in tensor.shape[1:]),
        dtype=cast(InputDtype, tensor.dtype),
        meaning=meaning or _meaning(path, facts),
        quantization=tensor.quantization,
    )


def _meaning(path: Path, facts: ModelFacts) -> OutputMeaning:
    if facts.final_op in ("LOGISTIC", "SIGMOID"):
        raise UsageError(
            f"{path}: ends in a sigmoid, so its scores are independent of each other and no distribution over the classes",
            fix="--output softmax takes each score as it is",
        )
    return "softmax" if facts.final_op == "SOFTMAX" else "logits"


def _layout(path: Path, tensor: TensorFacts, onnx: bool, said: Layout | None) -> Layout:
    if len(tensor.shape) != 4:
        raise BundleError(f"{path}: input {show([tensor])} is no picture: it has {len(tensor.shape)} dimensions, not 4")
    channels: dict[Layout, int | None] = {"NCHW": tensor.shape[1], "NHWC": tensor.shape[3]}
    fitting = [layout for layout, length in channels.items() if length == 3]
    if said is not None:
        if channels[said] not in (3, None):
            raise UsageError(f"--input: layout={said}, but {path} takes {show([tensor])}")
        return said
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and None not in channels.values():
        raise BundleError(f"{path}: input {show([tensor])} does not take pictures of three channels")
    if fitting and not onnx:
        return "NHWC"  # TFLite's own order; only a 3 pixels high picture gets here
    raise UsageError(f"{path}: input {show([tensor])} does not say where its channels are", fix='--input "layout=NCHW …"')


def _size_hw(path: Path, facts: ModelFacts, layout: Layout, said: tuple[int, int] | None) -> tuple[int, int]:
    tensor = facts.inputs[0]
    found = tensor.shape[2:4] if layout == "NCHW" else tensor.shape[1:3]
    if None in found and facts.format == "tflite":
        raise BundleError(f"{path}: input {show([tensor])} leaves its size open", fix="convert it with a fixed size")
    if None in found and said is None:
        raise UsageError(f"{path}: input {show([tensor])} leaves its size open", fix='--input "size=224 …"')
    if said is not None and any(a not in (None, b) for a, b in zip(found, said, strict=True)):
        raise UsageError(f"--input: size={said[0]}x{said[1]}, but {path} takes {show([tensor])}")
    return said or cast("tuple[int, int]", found)


def _from_range(quantization: Quantization) -> Normalisation | None:
    """The normalisation under which the stored int8 is pixel − 128, if its range of real values is a usual one."""
    low, high = ((pixel - _INT8_OFFSET - quantization.zero_point) * quantization.scale for pixel in (0, 255))
    for usual_low, usual_high in _KNOWN_RANGES:
        slack = _RANGE_TOLERANCE * (usual_high - usual_low)
        if abs(low - usual_low) <= slack and abs(high - usual_high) <= slack:
            mean, scale = float(_INT8_OFFSET + quantization.zero_point), 1.0 / quantization.scale
            return Normalisation(mean=(mean,) * 3, scale=(scale,) * 3)
    return None


def _say_normalisation(path: Path, tensor: TensorFacts) -> UsageError:
    return UsageError(
        f"{path}: input {tensor.name} takes {tensor.dtype}, and the file does not say how pixels are normalised",
        fix='--input imagenet, tf, unit or raw; or --input "mean=127.5 scale=127.5" on pixels 0…255',
    )


def show(tensors: list[TensorFacts] | tuple[TensorFacts, ...]) -> str:
    """Names, dtypes and shapes for a message."""
    shapes = ["×".join("?" if length is None else str(length) for length in tensor.shape) for tensor in tensors]
    return ", ".join(f"{t.name} {t.dtype} [{shape}]" for t, shape in zip(tensors, shapes, strict=True)) or "none"
