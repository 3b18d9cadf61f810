"""What an ONNX file says of itself in its ``metadata_props``."""

from __future__ import annotations

import json
from typing import Any

from edge import __version__
from export.load.model import FloatModel
from export.tasks import task_of


def add(model: Any, network: FloatModel) -> None:
    """Write the facts into ``model`` (an ``onnx.ModelProto`` from ``to_onnx.add_camera_io``), which is changed.

    ``Image.*`` and ``model_*`` are the standard's own keys (https://github.com/onnx/onnx/blob/main/docs/MetadataProps.md). All other
    values but plain words are JSON. ``mean`` and ``scale`` are those that the network was trained with; the graph applies them
    itself, as ``normalisation`` says: whoever feeds it must not.
    """
    props = {
        "Image.BitmapPixelFormat": "Rgb8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": "NominalRange_0_255",
        "model_license": network.licence or "unknown",
        "description": describe(network),
        "task": network.task,
        "labels": json.dumps(network.labels, ensure_ascii=False),
        "size": json.dumps(network.size_hw_px),
        "colour": "RGB",
        "fit": network.fit,
        "normalisation": "folded",
        "mean": json.dumps(network.normalisation.mean),
        "scale": json.dumps(network.normalisation.scale),
    }
    model.producer_name, model.producer_version = "shelfcam", __version__
    model.graph.name = network.name
    for key, value in props.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def describe(network: FloatModel) -> str:
    """One line for a reader who has nothing but the file."""
    height, width = network.size_hw_px
    weights = " Its weights are random: it serves to measure speed." if network.weights == "random" else ""
    purpose = task_of(network.task).purpose(network.width)
    return f"{network.name}: takes a {width}×{height} RGB image and {purpose}.{weights}"
