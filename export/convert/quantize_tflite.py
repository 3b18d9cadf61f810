"""Static 8-bit quantization of a TFLite core: int8 activations, int8 weights per channel, min-max ranges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edge.data import U8Image
from export.convert.core import PIXEL_GRID, to_grid
from export.convert.quiet import quiet
from export.progress import Advance

_THREADS = 2


def quantize_core(core: bytes, images: U8Image, *, advance: Advance) -> bytes:
    """The core with int8 input and output.

    Args:
        core: from ``core_to_tflite``.
        images: N×H×W×3 uint8 RGB at the model's size, from ``edge.preprocess``: what the camera will feed.
        advance: called after each image.

    The quantizer's own calibration is a moving average, which clips ranges (EfficientNet-Lite0 keeps .74 of its answers, with
    min-max .90); so its calibrator is used directly, with the min-max rule. The input's range is the pixel grid's, whatever the
    images hold.
    """
    with quiet():
        return _quantize(core, images, advance)


def _quantize(core: bytes, images: U8Image, advance: Advance) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils
    from ai_edge_quantizer import quantizer, recipe, recipe_manager
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils import qsv_utils

    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    signature = graph.signatureDefs[0]
    entry = signature.inputs[0]
    input_tensor = graph.subgraphs[0].tensors[entry.tensorIndex].name.decode()
    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    calibrator = Calibrator(bytearray(core), num_threads=_THREADS, qsv_update_func=qsv_utils.min_max_update)
    calibrator.calibrate({signature.signatureKey.decode(): _Feeds(images, entry.name.decode(), advance)}, rules)
    ranges = calibrator.get_model_qsvs()
    _pin_to_grid(ranges[input_tensor])
    return bytes(quantizer.Quantizer(bytearray(core), recipe.static_wi8_ai8()).quantize(ranges).quantized_model)


class _Feeds:
    """One feed an image. A sequence and no generator, because the calibrator goes through it once only to count."""

    def __init__(self, images: U8Image, name: str, advance: Advance) -> None:
        self._images = images
        self._name = name
        self._advance = advance

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for image in self._images:
            yield {self._name: to_grid(image[None])}
            self._advance()


def _pin_to_grid(limits: dict[str, Any]) -> None:
    """0 … 255 on the pixel grid: gives scale 1/128 and, for int8, zero point −1."""
    for key, pixel in (("min", 0), ("max", 255)):
        limits[key] = np.full_like(limits[key], (pixel - PIXEL_GRID.zero_point) * PIXEL_GRID.scale)
