"""The standard metadata of a TFLite file: what its input and output mean, with the labels packed behind it.

MediaPipe Tasks and Android's ML tooling read it. It is a flatbuffer of its own, by
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs, kept in a buffer of the
model that a ``TFLITE_METADATA`` entry names; the files that it speaks of follow the model as a zip archive
(https://ai.google.dev/edge/litert/conversion/tensorflow/metadata). No package that is still kept writes it without bringing a
runtime and an OpenCV of its own.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np

from edge import __version__
from edge.errors import BundleError
from edge.manifest import InputDtype
from export.candidates import GRID_NORMALISATION, Plan
from export.convert import flat_table
from export.convert.core import INPUT_NAME
from export.convert.flat_table import Byte, Float32s, Table, Uint
from export.convert.onnx_metadata import describe
from export.convert.tflite_graph import packed, run_tflite
from export.load.model import FloatModel
from export.tasks import task_of

ENTRY = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.5.0"
"""As MediaPipe's own writer states for what is used here."""

_RGB, _AXIS_LABELS = 1, 2  # ColorSpaceType, AssociatedFileType
_FEATURE, _IMAGE, _NORMALISE = 1, 2, 1  # union members: ContentProperties, ContentProperties, ProcessUnitOptions
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same model gives the same bytes


def add(content: bytes, network: FloatModel, plan: Plan) -> bytes:
    """A file made by ``tflite_graph.add_camera_io`` with its metadata and, where its output has them, labels.

    Raises:
        BundleError: the file with metadata does not load, or gives other answers.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_model_metadata(network, plan), dtype=np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = ENTRY.encode(), len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    model.description = describe(network).encode()
    described = packed(model) + _associated_files(network)
    _check_unchanged(content, described, network, plan.input_dtype)
    return described


def _model_metadata(network: FloatModel, plan: Plan) -> bytes:
    """A finished ``ModelMetadata`` flatbuffer. The numbers are field positions in the schema's tables."""
    subgraph: Table = {2: [_input_metadata(network, plan.input_dtype)], 3: [_output_metadata(network)]}
    root: Table = {
        0: network.name,
        1: describe(network),
        2: f"shelfcam {__version__}",
        3: [subgraph],
        4: "shelfcam",
        5: network.licence or "unknown",
        7: _MIN_PARSER_VERSION,
    }
    return flat_table.finish(root, _IDENTIFIER)


def _input_metadata(network: FloatModel, dtype: InputDtype) -> Table:
    """``TensorMetadata``. Mean and standard deviation are the pixel grid's for every dtype: as the standard has it, a quantized
    input is what the normalised pixel becomes by the tensor's own scale and zero point, which here is the pixel again."""
    height, width = network.size_hw_px
    mean, scale = GRID_NORMALISATION.mean[0], GRID_NORMALISATION.scale[0]
    limits = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0), "float32": ((0 - mean) / scale, (255 - mean) / scale)}[dtype]
    return {
        0: INPUT_NAME,
        1: f"RGB image of {width}×{height} pixels",
        3: {0: Byte(_IMAGE), 1: {0: Byte(_RGB), 1: {0: Uint(width), 1: Uint(height)}}},
        4: [{0: Byte(_NORMALISE), 1: {0: Float32s([mean]), 1: Float32s([scale])}}],
        5: {0: Float32s([limits[1]]), 1: Float32s([limits[0]])},
    }


def _output_metadata(network: FloatModel) -> Table:
    """``TensorMetadata``; ranges are those of the real values, not of stored ones."""
    task = task_of(network.task)
    text = task.output_text(network)
    found: Table = {0: task.output_name, 1: text.description, 3: {0: Byte(_FEATURE), 1: {}}}
    if text.limits is not None:
        found[5] = {0: Float32s([text.limits[1]]), 1: Float32s([text.limits[0]])}
    if text.labels is not None:
        labels: Table = {0: LABELS_FILE, 1: f"Class names in the order of the {task.output_name}", 2: Byte(_AXIS_LABELS)}
        found[6] = [labels] if text.labels else []
    return found


def _associated_files(network: FloatModel) -> bytes:
    """A zip archive, stored without compression because MediaPipe maps the files instead of inflating them; empty
    where there is nothing to label."""
    labels = task_of(network.task).output_text(network).labels
    if not labels:
        return b""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as files:
        files.writestr(zipfile.ZipInfo(LABELS_FILE, _ZIP_EPOCH), "\n".join(labels) + "\n")
    return archive.getvalue()


def _check_unchanged(before: bytes, after: bytes, network: FloatModel, dtype: InputDtype) -> None:
    """Loading alone would not tell of weights that got lost: a tensor without its buffer is taken for zeros."""
    height, width = network.size_hw_px
    picture = np.random.default_rng(0).integers(0, 128, (1, height, width, 3)).astype(dtype)  # fits every dtype
    if not np.array_equal(run_tflite(before, picture), run_tflite(after, picture)):
        raise BundleError("the TFLite file answers otherwise once it has its metadata")
