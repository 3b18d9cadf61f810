"""How many bytes a network writes between its layers for one crop: the traffic that weights alone do not show.

Counted is every output of every operator, in the type in which the file stores it (8 bits where an 8-bit candidate quantizes it
again), with two exceptions that both runtimes share: an activation (Relu, Relu6, Clip) behind a convolution is fused into it, and an
operator that only renames lengths (Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout) writes nothing. Weights are not in it.
What a runtime fuses beyond that (an addition into a convolution, say) is counted all the same: the figure is the graph's, not a
measurement.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edge.backends.tflite import open_interpreter
from edge.errors import BackendError
from edge.manifest import Candidate

_VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
_TFLITE_NO_WRITER = frozenset({"DELEGATE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_FUSED = frozenset({"Relu", "Clip"})
_FUSING = frozenset({"Conv", "ConvTranspose"})
_UNREADABLE = (ValueError, RuntimeError, TypeError, LookupError, AttributeError, OSError, MemoryError)
"""What foreign code raises on a graph that it does not understand, or that is too large: a figure that is not known, and no more."""


def activation_bytes(path: Path, candidate: Candidate) -> int | None:
    """Of one crop; None where the package that reads the format is not installed (onnx for ONNX), or where the
    shapes cannot be followed."""
    try:
        return _of_onnx(path, candidate) if candidate.format == "onnx" else _of_tflite(path)
    except (*_UNREADABLE, ImportError, BackendError):
        return None


def _of_onnx(path: Path, candidate: Candidate) -> int:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # the package with which onnx reads files

    from export.inspect.onnx_layers import LayerGraph

    class Written(LayerGraph):
        """Adds up what ``LayerGraph`` knows of types and shapes."""

        def total(self) -> int:
            return sum(self._written(node) for node in self.nodes if not self._is_quiet(node))

        def _is_quiet(self, node: Any) -> bool:
            if node.op_type in _VIEWS or node.op_type in ("Constant", "QuantizeLinear", "DequantizeLinear"):
                return True
            before = self._producer.get(node.input[0]) if node.input else None
            return node.op_type in _FUSED and before is not None and before.op_type in _FUSING

        def _written(self, node: Any) -> int:
            total = 0
            for name in node.output:
                dtype = self._dtype_of(self._after_quantize(name)) if name else None
                if dtype is not None and name in self._shapes:
                    total += prod(self._shapes[name]) * np.dtype(dtype).itemsize
            return total

    spec = candidate.input
    pixels = (spec.height_px, spec.width_px)
    shape = (1, 3, *pixels) if spec.layout == "NCHW" else (1, *pixels, 3)
    try:
        return Written(onnx.load(path), shape).total()
    except (DecodeError, onnx.shape_inference.InferenceError) as error:
        raise BackendError(f"{path}: cannot be followed: {error}") from error


def _of_tflite(path: Path) -> int:
    interpreter = open_interpreter(path.read_bytes(), 1)
    details = {int(detail["index"]): detail for detail in interpreter.get_tensor_details()}
    crops = int(interpreter.get_input_details()[0]["shape"][0])
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] not in _TFLITE_NO_WRITER]
    fed = {int(detail["index"]) for detail in interpreter.get_input_details()}
    made = fed | {int(number) for op in ops for number in op["outputs"]}
    ops = [op for op in ops if op["op_name"] != "DEQUANTIZE" or int(op["inputs"][0]) in made]  # a stored weight, unpacked once
    written = (details[int(number)] for op in ops for number in op["outputs"])
    return sum(prod(map(int, d["shape"])) * int(np.dtype(d["dtype"]).itemsize) for d in written) // crops
