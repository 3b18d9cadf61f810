"""What the candidates of one network share, each made once and only if asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from edge.data import U8Image
from export.convert import quantize_onnx, quantize_tflite, to_onnx, to_tflite
from export.convert.equalise import equalise
from export.convert.options import QuantizeOptions
from export.convert.ranges import passes
from export.convert.rounding import RoundedLayer, round_weights, statistics
from export.convert.trace import Trace
from export.load.model import FloatModel
from export.progress import Progress

_T = TypeVar("_T")


class Workshop:
    """The cores of one network: converted from PyTorch once for each set of weights, quantized once for each set of options.

    ``images`` are the calibration pictures, N×H×W×3 uint8 RGB at the model's size; ``progress`` is told about every step. What it
    gives out is shared: nobody may change it.
    """

    def __init__(self, model: FloatModel, images: U8Image, progress: Progress) -> None:
        self.model = model
        self.images = images
        self._progress = progress
        self._made: dict[Any, Any] = {}

    def layers(self, *, equalise: bool = False) -> list[RoundedLayer]:
        """How the inputs of every layer are correlated over the calibration pictures, in the network as it came or equalised."""

        def collect() -> list[RoundedLayer]:
            return statistics(self._start(equalise), self.images, self._step("layer statistics", len(self.images)))

        return self._once(("layers", equalise), collect)

    def network(self, options: QuantizeOptions | None) -> FloatModel:
        """The network whose weights ``options`` will quantize: equalised and rounded to their grid if they ask for it; for None as
        it came. Rounding knows only grids of one output channel each, so with one for a whole tensor it is left out."""
        if options is None or not (options.rounding and options.per_channel):
            return self._start(options is not None and options.equalise)
        return self._once(("network", _weights_of(options)), lambda: self._rounded(options))

    def onnx_core(self, options: QuantizeOptions | None = None) -> Any:
        """``to_onnx.core_to_onnx`` of ``network(options)``."""
        return self._once(("onnx", _weights_of(options)), lambda: self._convert("ONNX", to_onnx.core_to_onnx, options))

    def tflite_core(self, options: QuantizeOptions | None = None) -> bytes:
        """``to_tflite.core_to_tflite`` of ``network(options)``."""
        return self._once(("tflite", _weights_of(options)), lambda: self._convert("TFLite", to_tflite.core_to_tflite, options))

    def onnx_int8(self, options: QuantizeOptions) -> Any:
        """``onnx_core(options)`` quantized."""

        def quantize() -> Any:
            core, advance = self.onnx_core(options), self._step("calibrating ONNX", self._pictures(options))
            return quantize_onnx.quantize_core(core, self.images, options=options, advance=advance)

        return self._once(("onnx-int8", options), quantize)

    def tflite_int8(self, options: QuantizeOptions) -> bytes:
        """``tflite_core(options)`` quantized."""

        def quantize() -> bytes:
            layers = Trace(self.model, 1).layers if options.float_layers else ()
            core, advance = self.tflite_core(options), self._step("calibrating TFLite", self._pictures(options))
            return quantize_tflite.quantize_core(core, self.images, options=options, layers=layers, advance=advance)

        return self._once(("tflite-int8", options), quantize)

    def _start(self, equalised: bool) -> FloatModel:
        if not equalised:
            return self.model
        return self._once("equalised", lambda: equalise(self.model, self.images, self._step("equalising", len(self.images))))

    def _rounded(self, options: QuantizeOptions) -> FloatModel:
        layers = [layer for layer in self.layers(equalise=options.equalise) if layer.name not in options.float_layers]
        advance = self._step(f"rounding weights to {options.weight_bits} bits", len(layers))
        return round_weights(self._start(options.equalise), layers, weight_bits=options.weight_bits, advance=advance)

    def _pictures(self, options: QuantizeOptions) -> int:
        return len(self.images) * passes(options.calibration)

    def _convert(self, what: str, to_core: Callable[[FloatModel], _T], options: QuantizeOptions | None) -> _T:
        network = self.network(options)
        advance = self._step(f"PyTorch to {what}", 1)
        core = to_core(network)
        advance()
        return core

    def _step(self, description: str, total: int) -> Callable[[], None]:
        return self._progress(description, total)

    def _once(self, key: Any, make: Callable[[], _T]) -> _T:
        if key not in self._made:
            self._made[key] = make()
        return cast("_T", self._made[key])


def _weights_of(options: QuantizeOptions | None) -> QuantizeOptions | None:
    """``options`` less the knobs that leave the float weights alone, so that those who differ in them alone share a conversion."""
    if options is None or not (options.rounding or options.equalise):
        return None
    rounding = options.rounding and options.per_channel
    bits = options.weight_bits if rounding else 8
    float_layers = options.float_layers if rounding else ()
    return QuantizeOptions(bits, rounding=rounding, equalise=options.equalise, float_layers=float_layers)
