"""Tell ONNX and TFLite apart by their content, and read what the file says."""

from __future__ import annotations

from pathlib import Path

from edge.bundle.model_file import ModelFile
from edge.errors import BundleError
from edge.manifest import Format
from export.wrap.facts import ModelFacts, broken

TFLITE_IDENTIFIER = b"TFL3"
"""At byte 4 of every TFLite flatbuffer: https://flatbuffers.dev/schema/#file-identification-and-extension"""


def read_facts(path: Path) -> ModelFacts:
    """Look into a model file, whatever its suffix.

    Raises:
        InputMissingError: there is no such file.
        BundleError: it is neither ONNX nor TFLite, a broken one, or one that no camera would load: weights in other files, operators
            that are not of a list.
        BackendError: the package that reads its format is not installed.
    """
    file = ModelFile.read(path)
    if file.content[4:8] == TFLITE_IDENTIFIER:
        from export.wrap.tflite_facts import tflite_facts

        _refuse_more_than_a_model(path, file, "tflite")
        return tflite_facts(path, file.content)
    from export.wrap.onnx_facts import onnx_facts

    _refuse_more_than_a_model(path, file, "onnx")
    return onnx_facts(path, file.content)


def _refuse_more_than_a_model(path: Path, file: ModelFile, file_format: Format) -> None:
    try:
        file.check(file_format)
    except BundleError as error:
        raise broken(path, error.__cause__) from error
