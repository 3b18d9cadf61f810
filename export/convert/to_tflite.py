"""PyTorch → TFLite, and the cores with smaller weights and float activations."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from export.convert.core import Core
from export.convert.quiet import quiet
from export.convert.refusals import explained
from export.load.model import FloatModel


def core_to_tflite(model: FloatModel) -> bytes:
    """The core as a TFLite file: 1×H×W×3 float32 on the pixel grid → 1×C float32 logits.

    Raises:
        DataError: an operator cannot be converted; names it, its layer and what would do instead.
    """
    core = Core(model).eval()
    example = torch.zeros(1, *model.size_hw_px, 3)
    with (
        quiet(),
        tempfile.TemporaryDirectory(prefix="shelfcam-") as folder,
        explained("TFLite", core, example.permute(0, 3, 1, 2)),
    ):
        import litert_torch  # speaks while it is imported, too

        channel_last = litert_torch.to_channel_last_io(core, args=[0]).eval()
        path = Path(folder) / "core.tflite"
        litert_torch.convert(channel_last, (example,)).export(str(path))
        return path.read_bytes()


def to_float16(core: bytes) -> bytes:
    """The core with weights stored as float16, which are turned into float32 while the file is loaded; it computes in float32,
    or in float16 where XNNPACK finds kernels for it."""
    from ai_edge_quantizer import algorithm_manager, recipe_manager

    rules = recipe_manager.RecipeManager()
    rules.add_weight_only_config(
        regex=".*",
        operation_name="*",
        num_bits=16,
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )
    return _quantize(core, rules.get_quantization_recipe())


def to_dynamic_range(core: bytes) -> bytes:
    """The core with int8 weights, one scale a channel; its kernels quantize each activation as it comes ("dynamic range",
    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quant)."""
    from ai_edge_quantizer import recipe

    return _quantize(core, recipe.dynamic_wi8_afp32())


def _quantize(core: bytes, rules: list[dict[str, object]]) -> bytes:
    from ai_edge_quantizer import quantizer

    with quiet():
        return bytes(quantizer.Quantizer(bytearray(core), rules).quantize().quantized_model)
