"""A model file → its description."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.backends.verify import TensorFacts
from edge.errors import BackendError, BundleError
from export.inspect.description import Layer, ModelDescription, by_operator, by_weight_dtype
from export.judge import op_counts
from export.wrap.facts import ModelFacts, broken
from export.wrap.read import read_facts

OPEN_LENGTH_PX = 224
"""What an open height or width is counted as, unless the caller says otherwise; an open batch is 1."""
STANDARD_METADATA = "TFLITE_METADATA"
"""Buffer name of the standard model metadata: https://ai.google.dev/edge/litert/models/metadata"""


def describe(
    path: Path, runtime_options: Mapping[str, str] | None = None, open_length_px: int = OPEN_LENGTH_PX
) -> ModelDescription:
    """Read and count; nothing is run.

    Args:
        path: ONNX or TFLite, whatever the suffix.
        runtime_options: ONNX Runtime's session options, which may change what it fuses.
        open_length_px: what lengths of the input are counted as, that the file leaves open (the batch is 1).

    Raises:
        InputMissingError: no such file.
        BundleError: it is no model, or one that was cut.
        BackendError: the package that reads its format is not installed.
    """
    facts = read_facts(path)
    if not facts.inputs:
        raise broken(path, "it has no input")
    shape, assumed = _closed(facts.inputs[0], open_length_px)
    layers, quantizers, versions, metadata = _read(path, facts, shape)
    counts = op_counts.count(path, facts.format, shape)
    share, failure = _share_run(path, facts, shape, runtime_options or {}, counts)
    return ModelDescription(
        file=path.name,
        bytes=path.stat().st_size,
        format=facts.format,
        precision=counts.precision,
        versions=versions,
        metadata=metadata,
        inputs=facts.inputs,
        outputs=facts.outputs,
        macs=counts.macs,
        int8_mac_share=counts.int8_mac_share,
        int8_mac_share_run=share,
        run_failure=failure,
        weights=counts.weights,
        assumed=assumed,
        quantizers=quantizers,
        layers=tuple(layers),
        by_operator=by_operator(layers),
        by_weight_dtype=by_weight_dtype(layers),
    )


def read_layers(path: Path, open_length_px: int = OPEN_LENGTH_PX) -> list[Layer]:
    """Only the layers: no runtime is asked what it makes of them. Raises as ``describe``."""
    facts = read_facts(path)
    if not facts.inputs:
        raise broken(path, "it has no input")
    shape, _ = _closed(facts.inputs[0], open_length_px)
    return _read(path, facts, shape)[0]


_Read = tuple[list[Layer], int, dict[str, str], dict[str, str]]
"""Layers, how many quantizers stand between them, versions, metadata."""


def _read(path: Path, facts: ModelFacts, shape: tuple[int, ...]) -> _Read:
    try:
        return _read_onnx(path, shape) if facts.format == "onnx" else _read_tflite(path, shape[0])
    except (ValueError, RuntimeError, IndexError) as error:
        raise broken(path, f"its shapes cannot be followed: {error}") from error


def _closed(facts: TensorFacts, open_length_px: int) -> tuple[tuple[int, ...], str | None]:
    """The shape with every open length filled in, and what was assumed beyond a batch of 1."""
    shape = tuple(
        length if length is not None else 1 if axis == 0 else open_length_px for axis, length in enumerate(facts.shape)
    )
    if all(length is not None for length in facts.shape[1:]):
        return shape, None
    return shape, f"input {facts.name} counted as {'×'.join(map(str, shape))}"


def _read_onnx(path: Path, shape: tuple[int, ...]) -> _Read:
    import onnx

    from export.inspect.onnx_layers import LayerGraph

    model = onnx.load(path, load_external_data=False)
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in _used_opsets(model))
    producer = f"{model.producer_name} {model.producer_version}".strip()
    versions = {"ir_version": str(model.ir_version), "opsets": opsets} | ({"producer": producer} if producer else {})
    metadata = {str(entry.key): str(entry.value) for entry in model.metadata_props}
    graph = LayerGraph(model, shape)
    return graph.layers(), graph.quantizers(), versions, metadata


def _used_opsets(model: Any) -> list[Any]:
    """ONNX Runtime's tools declare many domains that no operator is of."""
    used = {"" if node.domain == "ai.onnx" else node.domain for node in model.graph.node}
    return [entry for entry in model.opset_import if ("" if entry.domain == "ai.onnx" else entry.domain) in used]


def _read_tflite(path: Path, batch: int) -> _Read:
    from export.inspect.tflite_layers import TfliteLayers

    read = TfliteLayers(path, batch)
    versions, metadata = tflite_header(path)
    return read.layers, read.quantizers, versions, metadata


def _share_run(
    path: Path, facts: ModelFacts, shape: tuple[int, ...], options: Mapping[str, str], stored: op_counts.Counts
) -> tuple[float | None, str | None]:
    if facts.format != "onnx":
        return stored.int8_mac_share, None
    from edge.backends.ort import _failures
    from export.judge.count import count

    try:
        failures: tuple[type[Exception], ...] = (BackendError, BundleError, *_failures())
    except ImportError as error:
        return None, f"onnxruntime is not installed: {error}"
    try:
        return count(path, "onnx", shape, options).int8_mac_share, None
    except failures as error:
        return None, " ".join(str(error).split())[:300]


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
            f"reading a TFLite header needs ai-edge-litert: {error}", fix="pip install 'ai-edge-litert>=2.0'"
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
