"""Edit a TFLite file: the front and end that every TFLite candidate gets.

Files are read with ``flatbuffer_utils.read_model_from_bytearray``, which brings weights that ai-edge-quantizer stored outside the
flatbuffer back into it; editing the flatbuffer without that step silently drops them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.data import U8Image
from edge.errors import BundleError
from export.convert.core import F32, INPUT_NAME, OUTPUT_NAME, PIXEL_GRID

_LOGITS = "logits"


def add_camera_io(core: bytes) -> bytes:
    """A float or int8 core (one input 1×H×W×3, one output 1×C) with ``image`` 1×H×W×3 uint8 RGB in front and a float softmax,
    ``probabilities`` 1×C float32, behind.

    Raises:
        BundleError: the edited file does not load, or does not compute.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    editor = _Editor(model, schema)
    graph = editor.graph
    entry, exit_ = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    real, stored = schema.TensorType.FLOAT32, schema.TensorType.UINT8
    image = editor.tensor(INPUT_NAME, stored, entry.shape, PIXEL_GRID.scale, PIXEL_GRID.zero_point)
    probabilities = editor.tensor(OUTPUT_NAME, real, exit_.shape)
    if entry.type == real:
        editor.operator("DEQUANTIZE", image, graph.inputs[0], at=0)
    else:  # uint8 around 127 to int8 around −1: the same values, one bit flipped
        editor.operator("QUANTIZE", image, graph.inputs[0], at=0)
    logits = graph.outputs[0]
    if exit_.type != real:
        logits = editor.tensor(_LOGITS, real, exit_.shape)
        editor.operator("DEQUANTIZE", graph.outputs[0], logits)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    editor.operator("SOFTMAX", logits, probabilities, options=softmax)
    editor.set_io(image, probabilities)
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    run_tflite(content, np.zeros((1, *entry.shape[1:]), dtype=np.uint8))
    return content


def run_tflite(content: bytes, images: U8Image) -> F32:
    """Run N×H×W×3 uint8 through a file made by ``add_camera_io`` → N×C probabilities.

    Raises:
        BundleError: it does not load or gives values that are not finite.
    """
    from edge.backends.tflite import import_interpreter

    try:
        interpreter = import_interpreter()[0](model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        rows = []
        for image in images:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    except (ValueError, RuntimeError) as error:
        raise BundleError(f"the TFLite file that was written does not run: {error}") from error
    probabilities: F32 = np.concatenate(rows)
    if not np.isfinite(probabilities).all():
        raise BundleError("the TFLite file that was written gives values that are not finite")
    return probabilities


class _Editor:
    """Adds tensors and operators to the first subgraph of a ``ModelT``."""

    def __init__(self, model: Any, schema: Any) -> None:
        self._model = model
        self._schema = schema
        self.graph = model.subgraphs[0]

    def tensor(self, name: str, dtype: int, shape: Any, scale: float | None = None, zero_point: int = 0) -> int:
        """Returns its index. ``scale`` makes it a quantized one."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name.encode(), dtype, list(shape), 0
        if scale is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind: str, source: int, target: int, *, at: int | None = None, options: Any = None) -> None:
        """One tensor in, one out; at the end unless ``at`` says where."""
        code = getattr(self._schema.BuiltinOperator, kind)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._opcode(code)
        operator.inputs, operator.outputs = [source], [target]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = self._schema.BuiltinOptions.SoftmaxOptions
        self.graph.operators.insert(len(self.graph.operators) if at is None else at, operator)

    def set_io(self, source: int, target: int) -> None:
        """Make ``source`` and ``target`` the graph's only input and output, in its signature too."""
        self.graph.inputs, self.graph.outputs = [source], [target]
        for signature in self._model.signatureDefs or []:
            for maps, index, name in ((signature.inputs, source, INPUT_NAME), (signature.outputs, target, OUTPUT_NAME)):
                maps[0].tensorIndex, maps[0].name = index, name.encode()

    def _opcode(self, code: int) -> int:
        """Index of a version-1 entry of the operator table, added if need be. Codes below 127 are stored twice, for old readers."""
        for index, entry in enumerate(self._model.operatorCodes):
            if max(entry.builtinCode, entry.deprecatedBuiltinCode) == code:
                return index
        entry = self._schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        self._model.operatorCodes.append(entry)
        return len(self._model.operatorCodes) - 1
