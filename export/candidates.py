"""The forms in which ``shelfcam export`` can put a network on a camera."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge.bundle.runtimes import usual_runtime
from edge.errors import UsageError
from edge.files import sha256_of
from edge.manifest import (
    Candidate,
    FileRef,
    Fit,
    Format,
    InputDtype,
    InputSpec,
    Normalisation,
    OutputSpec,
    Quantization,
    Requires,
    Resize,
)
from export.convert.options import QuantizeOptions
from export.judge.count import count

if TYPE_CHECKING:
    from export.convert.options import WeightBits
    from export.load.model import FloatModel
    from export.tasks.base import ExportTask

X64_PRECISION = "session.x64quantprecision"
"""ONNX Runtime's option for x86 CPUs whose 8-bit products saturate: it gives the arithmetic of ARM and of x86 with VNNI."""

ALL = "all"
"""The name that stands for every plan."""

PIXEL_GRID = Quantization(scale=1 / 128, zero_point=127)
"""real = (pixel − 127) / 128: a power of two, so exact in float32; and as an 8-bit tensor's scale and zero point it costs a
quantized graph nothing, because the raw pixel already is the stored value. Real values span [−127/128, 1]."""

GRID_NORMALISATION = Normalisation(mean=(127.0, 127.0, 127.0), scale=(128.0, 128.0, 128.0))
"""The same grid for the inputs that are fed normalised: every network's own normalisation is folded behind it."""

Arithmetic = Literal["fp32", "fp16", "bf16", "int8", "dynamic"]
"""``fp16`` and ``bf16``: weights stored so; TFLite and CPUs without such kernels compute in fp32. ``int8``: static, 8-bit weights and
activations. ``dynamic``: 8-bit weights, and activations quantized as they come."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One candidate to make. ``weight_bits`` is None for a float one. Candidates may share a ``file``.

    ``input_dtype``: uint8 is fed raw pixels; int8 pixels less 128; float32 pixels on the grid (pixel − 127) / 128.
    ``output_dtype``: of the output. ``by_default``: made where no names are given.
    """

    name: str
    format: Format
    file: str
    weight_bits: WeightBits | None = None
    runtime_options: dict[str, str] = field(default_factory=dict)
    arithmetic: Arithmetic = "fp32"
    input_dtype: InputDtype = "uint8"
    output_dtype: InputDtype = "float32"
    by_default: bool = False

    def default_options(self) -> QuantizeOptions | None:
        """How it is quantized unless a repair says otherwise; None for a plan without static quantization."""
        return QuantizeOptions(self.weight_bits) if self.weight_bits is not None and self.arithmetic == "int8" else None


def _onnx(name: str, arithmetic: Arithmetic) -> Plan:
    bits: WeightBits | None = 7 if arithmetic == "dynamic" else None
    return Plan(name, "onnx", f"{name}.onnx", bits, arithmetic=arithmetic, by_default=arithmetic == "fp32")


def _tflite(
    name: str, arithmetic: Arithmetic, fed: InputDtype = "uint8", given: InputDtype = "float32", *, by_default: bool = False
) -> Plan:
    bits: WeightBits | None = 8 if arithmetic in ("int8", "dynamic") else None
    return Plan(name, "tflite", f"{name}.tflite", bits, {}, arithmetic, fed, given, by_default)


# The 8-bit ONNX file has 7-bit weights: 255 × 64 × 2 still fits the 16-bit sums of x86 CPUs without VNNI, where 8-bit weights
# saturate (EfficientNet-Lite0: logit cosine .92 instead of .998); with export.convert.rounding it keeps .996 on every CPU.
# LiteRT's kernels sum in 32 bits, so there the weights have all 8.
PLANS = (
    _onnx("onnx-fp32", "fp32"),
    _onnx("onnx-fp16", "fp16"),
    _onnx("onnx-bf16", "bf16"),
    Plan("onnx-int8", "onnx", "onnx-int8.onnx", 7, {X64_PRECISION: "1"}, "int8", by_default=True),
    Plan("onnx-int8-fast", "onnx", "onnx-int8.onnx", 7, {}, "int8", by_default=True),
    _onnx("onnx-dynamic", "dynamic"),
    _tflite("tflite-fp32", "fp32", by_default=True),
    _tflite("tflite-fp16", "fp16"),
    _tflite("tflite-int8", "int8", by_default=True),
    _tflite("tflite-int8-full", "int8", "uint8", "uint8"),
    _tflite("tflite-int8-int8", "int8", "int8", "int8"),
    _tflite("tflite-int8-float-io", "int8", "float32"),
    _tflite("tflite-float-in", "fp32", "float32"),
    _tflite("tflite-dynamic", "dynamic"),
)


def choose(names: Sequence[str]) -> tuple[Plan, ...]:
    """The plans of those names, in the order of ``PLANS``; the default ones if there is no name, all for ``all``.

    Raises:
        UsageError: no plan has that name.
    """
    known = [plan.name for plan in PLANS]
    for name in names:
        if name not in (*known, ALL):
            near = difflib.get_close_matches(name, known, n=2) or known
            raise UsageError(f"unknown candidate {name!r}", fix=f"did you mean {' or '.join(near)}?")
    if ALL in names:
        return PLANS
    return tuple(plan for plan in PLANS if (plan.name in names if names else plan.by_default))


def input_spec(
    size_hw_px: tuple[int, int], file_format: Format, fit: Fit = "centre_crop", dtype: InputDtype = "uint8"
) -> InputSpec:
    """What an exported graph takes. Raw uint8 pixels, as in calibration, unless ``dtype`` says otherwise."""
    height, width = size_hw_px
    stored = Quantization(scale=PIXEL_GRID.scale, zero_point=PIXEL_GRID.zero_point - 128) if dtype == "int8" else None
    return InputSpec(
        name="image",
        batch="dynamic" if file_format == "onnx" else 1,
        height_px=height,
        width_px=width,
        layout="NHWC",
        dtype=dtype,
        colour="RGB",
        resize=Resize(fit=fit, filter="halve_linear"),
        normalise="folded" if dtype == "uint8" else GRID_NORMALISATION,
        quantization=stored,
    )


def describe(plan: Plan, path: Path, model: FloatModel, task: ExportTask, opset: int) -> Candidate:
    """The manifest entry of a file that was converted for ``task``, the model's; counted and hashed but not judged."""
    counts = count(path, plan.format, (1, *model.size_hw_px, 3), plan.runtime_options, static=plan.arithmetic == "int8")
    output = OutputSpec(
        name=task.output_name,
        shape=(model.width,),
        dtype=plan.output_dtype,
        meaning=task.meaning,
        quantization=None if plan.output_dtype == "float32" else _stored_output(path),
    )
    return Candidate(
        name=plan.name,
        model_file=FileRef(file=plan.file, bytes=path.stat().st_size, sha256=sha256_of(path)),
        format=plan.format,
        precision=counts.precision,
        int8_mac_share=round(counts.int8_mac_share, 5),
        weights=counts.weights,
        macs=counts.macs,
        input=input_spec(model.size_hw_px, plan.format, model.fit, plan.input_dtype),
        outputs=(output,),
        runtime_options=dict(plan.runtime_options),
        requires=Requires(runtime=usual_runtime(plan.format), opset=opset if plan.format == "onnx" else None),
    )


def _stored_output(path: Path) -> Quantization | None:
    """Scale and zero point of a TFLite file's output."""
    from edge.backends.tflite import detail_facts, open_interpreter

    return detail_facts(open_interpreter(path.read_bytes(), 1).get_output_details()[0]).quantization


@dataclass(frozen=True, slots=True)
class Draft:
    """A converted candidate on disk; once judged, with its quality, whether it passes and why."""

    plan: Plan
    path: Path
    candidate: Candidate
    passes: bool = False
    verdict: str = "not judged"
