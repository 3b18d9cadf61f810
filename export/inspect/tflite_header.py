"""What a TFLite file says about itself beside its graph."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from edge.errors import BackendError

STANDARD_METADATA = "TFLITE_METADATA"
"""Buffer name of the standard model metadata: https://ai.google.dev/edge/litert/models/metadata"""


def tflite_header(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """(versions, metadata): the schema's version and who made the file; every metadata buffer with its size, whether the standard
    metadata is there, and the files that are appended to it as an archive (labels).

    Raises:
        BackendError: ai-edge-litert, which has the schema, is not installed.
    """
    try:
        from ai_edge_litert.tools import flatbuffer_utils
    except ImportError as error:
        raise BackendError(
            f"reading a TFLite header needs ai-edge-litert: {error}", fix="pip install 'shelfcam[litert]'"
        ) from error
    model = flatbuffer_utils.read_model(str(path))
    versions = {"schema": str(model.version)}
    if model.description:
        versions["producer"] = _text(model.description)
    metadata = {}
    for entry in model.metadata or []:
        data = model.buffers[entry.buffer].data
        metadata[_text(entry.name)] = f"{0 if data is None else len(data):,} bytes"
    metadata.setdefault(STANDARD_METADATA, "absent")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            metadata["appended files"] = ", ".join(archive.namelist())
    return versions, metadata


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
