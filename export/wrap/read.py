"""Tell ONNX and TFLite apart by their content, and read what the file says."""

from __future__ import annotations

from pathlib import Path

from edge.errors import InputMissingError
from export.wrap.facts import ModelFacts

TFLITE_IDENTIFIER = b"TFL3"
"""At byte 4 of every TFLite flatbuffer: https://flatbuffers.dev/schema/#file-identification-and-extension"""


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
        from export.wrap.tflite_facts import tflite_facts

        return tflite_facts(path, content)
    from export.wrap.onnx_facts import onnx_facts

    return onnx_facts(path, content)
