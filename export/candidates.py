"""The forms in which ``shelfcam export`` can put a network on a camera."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.manifest import Candidate, FileRef, Format, InputSpec, OutputSpec, Requires, Resize
from edge.errors import UsageError
from edge.files import sha256_of
from export.judge.count import count

if TYPE_CHECKING:
    from export.convert.options import WeightBits

X64_PRECISION = "session.x64quantprecision"
"""ONNX Runtime's option for x86 CPUs whose 8-bit products saturate: it gives the arithmetic of ARM and of x86 with VNNI."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One candidate to make. ``weight_bits`` is None for a float one. Candidates may share a ``file``."""

    name: str
    format: Format
    file: str
    weight_bits: WeightBits | None = None
    runtime_options: dict[str, str] = field(default_factory=dict)


# The 8-bit ONNX file has 7-bit weights: 255 × 64 × 2 still fits the 16-bit sums of x86 CPUs without VNNI, where 8-bit weights
# saturate (EfficientNet-Lite0: logit cosine .92 instead of .998); with export.convert.rounding it keeps .996 on every CPU.
# LiteRT's kernels sum in 32 bits, so there the weights have all 8.
PLANS = (
    Plan("onnx-fp32", "onnx", "onnx-fp32.onnx"),
    Plan("onnx-int8", "onnx", "onnx-int8.onnx", 7, {X64_PRECISION: "1"}),
    Plan("onnx-int8-fast", "onnx", "onnx-int8.onnx", 7),
    Plan("tflite-fp32", "tflite", "tflite-fp32.tflite"),
    Plan("tflite-int8", "tflite", "tflite-int8.tflite", 8),
)


def choose(names: Sequence[str]) -> tuple[Plan, ...]:
    """The plans of those names, in the order of ``PLANS``; all if there is no name. Raises UsageError."""
    known = [plan.name for plan in PLANS]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2) or known
            raise UsageError(f"unknown candidate {name!r}", fix=f"did you mean {' or '.join(near)}?")
    return tuple(plan for plan in PLANS if not names or plan.name in names)


def input_spec(size_hw_px: tuple[int, int], file_format: Format) -> InputSpec:
    """What every exported graph takes: raw uint8 pixels. All formats and calibration share it but for the batch."""
    height, width = size_hw_px
    return InputSpec(
        name="image",
        batch="dynamic" if file_format == "onnx" else 1,
        height_px=height,
        width_px=width,
        layout="NHWC",
        dtype="uint8",
        colour="RGB",
        resize=Resize(fit="centre_crop", filter="halve_linear"),
        normalise="folded",
    )


def describe(plan: Plan, path: Path, size_hw_px: tuple[int, int], classes: int, opset: int) -> Candidate:
    """The manifest entry of a converted file, counted and hashed but not judged."""
    counts = count(path, plan.format, (1, *size_hw_px, 3), plan.runtime_options)
    return Candidate(
        name=plan.name,
        model_file=FileRef(file=plan.file, bytes=path.stat().st_size, sha256=sha256_of(path)),
        format=plan.format,
        precision=counts.precision,
        int8_mac_share=round(counts.int8_mac_share, 5),
        weights=counts.weights,
        macs=counts.macs,
        input=input_spec(size_hw_px, plan.format),
        outputs=(OutputSpec(name="probabilities", width=classes, dtype="float32", activation="softmax"),),
        runtime_options=dict(plan.runtime_options),
        requires=Requires(runtime="onnxruntime", opset=opset) if plan.format == "onnx" else Requires(runtime="tflite"),
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """A converted candidate on disk; once judged, with its quality, whether it passes and why."""

    plan: Plan
    path: Path
    candidate: Candidate
    passes: bool = False
    verdict: str = "not judged"
