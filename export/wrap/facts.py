"""What a model file says about itself, the same for ONNX and TFLite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.backends.verify import TensorFacts
from edge.errors import BundleError
from edge.manifest import Format


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``final_op`` is the operator that made the first output, reshapes and (de)quantization left out, in capitals without
    underscores (``SOFTMAX``, ``FULLYCONNECTED``); None if there is no other. ``opset`` is ONNX only."""

    format: Format
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    final_op: str | None
    opset: int | None = None


def broken(path: Path, reason: object) -> BundleError:
    """The error for a file that is no model, or half of one."""
    text = " ".join(str(reason).split())[:300]
    return BundleError(
        f"{path}: no usable model: {text}",
        fix="check the file: is it whole, its weights inside, its operators standard ones?",
    )
