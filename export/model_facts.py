"""What a model file says about itself, the same for ONNX and TFLite; and telling the two apart by their content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.backends.verify import TensorFacts
from edge.bundle.manifest import Format
from edge.errors import BundleError, InputMissingError

TFLITE_IDENTIFIER = b"TFL3"
"""At byte 4 of every TFLite flatbuffer: https://flatbuffers.dev/schema/#file-identification-and-extension"""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``final_op`` is the operator that made the first output, reshapes and (de)quantization left out, in capitals without
    underscores (``SOFTMAX``, ``FULLYCONNECTED``); None if there is no other. ``opset`` is ONNX only."""

    format: Format
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    final_op: str | None
    opset: int | None = None


def read_facts(path: Path) -> ModelFacts:
    """Look into a model file, whatever its suffix.

    Raises:
        InputMissingError: there is no such file.
        BundleError: it is neither ONNX nor TFLite, or a broken one.
        BackendError: the package that reads its format is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    if content[4:8] == TFLITE_IDENTIFIER:
        from export.read_tflite import tflite_facts

        return tflite_facts(path, content)
    from export.read_onnx import onnx_facts

    return onnx_facts(path, content)


def broken(path: Path, reason: object) -> BundleError:
    """The error for a file that is no model, or half of one."""
    text = " ".join(str(reason).split())[:300]
    return BundleError(f"{path}: no usable model: {text}", fix="check the file: was it copied whole?")
