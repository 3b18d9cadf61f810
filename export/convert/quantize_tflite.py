"""Static 8-bit quantization of a TFLite core: int8 activations, int8 weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.data import U8Image
from export.convert.core import PIXEL_GRID, to_grid
from export.convert.options import QuantizeOptions
from export.convert.quiet import quiet
from export.convert.ranges import Values, ranges
from export.convert.tflite_padding import finite_paddings, settle_paddings
from export.convert.trace import TracedLayer
from export.progress import Advance

_THREADS = 2
_WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
"""TFLite's operators with weights → position of the weight among the inputs."""


def quantize_core(
    core: bytes, images: U8Image, *, options: QuantizeOptions, layers: Sequence[TracedLayer] = (), advance: Advance
) -> bytes:
    """The core with int8 input and output.

    Args:
        core: from ``core_to_tflite``.
        images: N×H×W×3 uint8 RGB at the model's size, from ``edge.preprocess``: what the camera will feed.
        options: 8 weight bits: the kernels sum in 32 bits, so 7 would gain nothing. What rounds or equalises weights has
            happened to the core already.
        layers: of the network, in order (``trace.trace``); needed where ``options`` names some that stay float.
        advance: called after each image, in each of ``ranges.passes``.

    The quantizer's own calibration is a moving average, which clips ranges (EfficientNet-Lite0 keeps .74 of its answers, with
    min-max .90); so it is given ranges. The input's range is the pixel grid's, whatever the images hold.

    Raises:
        ValueError: 7 weight bits, or a layer that is to stay float cannot be found in the file.
    """
    if options.weight_bits != 8:
        raise ValueError(f"TFLite weights have 8 bits, not {options.weight_bits}")
    with quiet():
        return _quantize(core, images, options, layers, advance)


def float_scopes(core: bytes, layers: Sequence[TracedLayer], names: Sequence[str]) -> list[str]:
    """Regular expressions, in the quantizer's sense, for the operators that compute the modules of those ``names``.

    The converter joins and renames, but keeps the order: the n-th operator with weights is the n-th layer, if their sizes say so too.

    Raises:
        ValueError: the file's operators are not those of ``layers``, or a name is not among them.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    graph = model.subgraphs[0]
    found = []
    for operator in graph.operators:
        position = _WEIGHTED.get(flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex))
        if position is not None and graph.tensors[operator.inputs[position]].buffer:
            size = int(np.prod(graph.tensors[operator.inputs[position]].shape))
            scope = ";".join(graph.tensors[i].name.decode() for i in operator.outputs) + ";"
            found.append((size, scope))
    if [size for size, _ in found] != [layer.weight_elements for layer in layers]:
        raise ValueError(
            f"the TFLite file has {len(found)} operators with weights that are not the network's {len(layers)} layers"
        )
    scopes = {layer.name: scope for layer, (_, scope) in zip(layers, found, strict=True)}
    missing = [name for name in names if name not in scopes]
    if missing:
        raise ValueError(f"no layer {missing[0]} in the network")
    return [f"^{re.escape(scopes[name])}$" for name in names]


def _quantize(core: bytes, images: U8Image, options: QuantizeOptions, layers: Sequence[TracedLayer], advance: Advance) -> bytes:
    from ai_edge_litert.tools import flatbuffer_utils
    from ai_edge_quantizer import quantizer, recipe_manager

    core, paddings = finite_paddings(core)
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    signature = graph.signatureDefs[0]
    entry = signature.inputs[0]
    input_tensor = graph.subgraphs[0].tensors[entry.tensorIndex].name.decode()
    scopes = float_scopes(core, layers, options.float_layers) if options.float_layers else []
    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(_recipe(options, scopes))
    calibration = _Calibration(core, signature.signatureKey.decode(), entry.name.decode(), rules)
    limits = _limits(calibration, images, options, advance)
    _set(limits[input_tensor], *((pixel - PIXEL_GRID.zero_point) * PIXEL_GRID.scale for pixel in (0, 255)))
    core = settle_paddings(core, paddings, limits)
    return bytes(quantizer.Quantizer(bytearray(core), _recipe(options, scopes)).quantize(limits).quantized_model)


def _recipe(options: QuantizeOptions, float_scopes: Sequence[str]) -> Any:
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    granularity = qtyping.QuantGranularity.CHANNELWISE if options.per_channel else qtyping.QuantGranularity.TENSORWISE
    config = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=options.symmetric),
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8, symmetric=True, granularity=granularity),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )
    rules = recipe_manager.RecipeManager()
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    rules.add_quantization_config(".*", everything, config)  # later rules go before earlier ones
    for scope in float_scopes:
        rules.add_quantization_config(scope, everything, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return rules.get_quantization_recipe()


@dataclass(frozen=True, slots=True)
class _Calibration:
    """What is run: the file, the names of its signature and input, and the quantizer's rules."""

    core: bytes
    signature: str
    entry: str
    rules: Any


def _limits(what: _Calibration, images: U8Image, options: QuantizeOptions, advance: Advance) -> dict[str, dict[str, Any]]:
    """Tensor name → {"min", "max"} in the quantizer's own layout, which its calibrator sets up with one picture."""
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils import qsv_utils, tfl_interpreter_utils

    calibrator = Calibrator(bytearray(what.core), num_threads=_THREADS, qsv_update_func=qsv_utils.min_max_update)
    calibrator.calibrate({what.signature: [{what.entry: to_grid(images[:1])}]}, what.rules)
    limits: dict[str, dict[str, Any]] = calibrator.get_model_qsvs()
    interpreter = tfl_interpreter_utils.create_tfl_interpreter(
        bytes(what.core), num_threads=_THREADS, preserve_all_tensors=True
    )
    index = {
        detail["name"]: detail["index"]
        for detail in interpreter.get_tensor_details()
        if detail["name"] in limits and detail["dtype"] == np.float32 and np.size(limits[detail["name"]]["min"]) == 1
    }

    def run() -> Iterator[Values]:
        runner = interpreter.get_signature_runner(what.signature)
        for image in images:
            runner(**{what.entry: to_grid(image[None])})
            yield {name: interpreter.get_tensor(at) for name, at in index.items()}
            advance()

    for name, (low, high) in ranges(run, options.calibration).items():
        _set(limits[name], low, high)
    return limits


def _set(limits: dict[str, Any], low: float, high: float) -> None:
    limits["min"], limits["max"] = np.full_like(limits["min"], low), np.full_like(limits["max"], high)
