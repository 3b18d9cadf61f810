"""TFLite cores with smaller weights and float activations."""

from __future__ import annotations

from export.convert.quiet import quiet


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
