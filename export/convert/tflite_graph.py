"""Edit a TFLite file: the front and end that every TFLite candidate gets.

Files are read with ``flatbuffer_utils.read_model_from_bytearray``, which brings weights that ai-edge-quantizer stored outside the
flatbuffer back into it; editing the flatbuffer without that step silently drops them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.bundle.manifest import InputDtype, Quantization, TaskName
from edge.data import Tensor
from edge.errors import BundleError
from export.convert.core import EMBEDDING_NAME, F32, INPUT_NAME, OUTPUT_NAME, PIXEL_GRID

_LOGITS = "logits"
_INT8_PROBABILITIES = Quantization(scale=1 / 256, zero_point=-128)
"""What the runtimes demand of an int8 softmax: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec"""
_TO_UINT8 = 128
"""Zero point of a uint8 tensor less that of the int8 tensor with the same bits but the first."""


def add_camera_io(core: bytes, fed: InputDtype = "uint8", given: InputDtype = "float32", task: TaskName = "classify") -> bytes:
    """The core (float or int8; one input 1×H×W×3, one output 1×C) with the input of a camera and, for a classifier, a softmax.

    Args:
        core: with its logits or embedding as output.
        fed: of ``image`` 1×H×W×3 RGB: uint8 is raw pixels, int8 pixels less 128, float32 the pixel grid (pixel − 127) / 128.
        given: of the output 1×C, ``probabilities``, or ``embedding`` of an embedder. 8-bit probabilities have steps of 1/256,
            an 8-bit embedding those of the core. With float32 the softmax is float, and the logits keep the core's resolution.
        task: "classify" or "embed".

    Raises:
        BundleError: the edited file does not load, or does not compute.
        ValueError: a float core cannot give an 8-bit output, and is fed no int8.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    editor = _Editor(model, schema)
    shape = editor.graph.tensors[editor.graph.inputs[0]].shape
    image = _enter(editor, fed)
    raw = editor.graph.outputs[0]
    output = _end(editor, raw, given, EMBEDDING_NAME) if task == "embed" else _softmax(editor, raw, given)
    editor.set_io(image, output)
    content = packed(model)
    run_tflite(content, np.zeros((1, *shape[1:]), dtype=fed))
    return content


def packed(model: Any) -> bytes:
    """A ``ModelT`` as a TFLite file. Weights are handed over as arrays: the packer writes anything else byte by byte."""
    from ai_edge_litert.tools import flatbuffer_utils

    for buffer in model.buffers:
        if buffer.data is not None and not isinstance(buffer.data, np.ndarray):
            buffer.data = np.frombuffer(bytes(buffer.data), dtype=np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _enter(editor: _Editor, fed: InputDtype) -> int:
    """Put the camera's tensor in front of the core's; returns it."""
    entry = editor.graph.inputs[0]
    core_is_float = editor.is_float(entry)
    shape = editor.graph.tensors[entry].shape
    if fed == "float32":
        if core_is_float:
            return editor.rename(entry, INPUT_NAME)
        image = editor.tensor(INPUT_NAME, fed, shape)
    elif fed == "uint8":
        image = editor.tensor(INPUT_NAME, fed, shape, PIXEL_GRID)
    elif core_is_float:
        raise ValueError("a float core is fed uint8 or float32")
    else:
        return editor.rename(entry, INPUT_NAME)
    # to an int8 core uint8 around 127 becomes int8 around −1: the same values, one bit flipped
    editor.operator("DEQUANTIZE" if core_is_float else "QUANTIZE", image, entry, at=0)
    return image


def _softmax(editor: _Editor, logits: int, given: InputDtype) -> int:
    """A softmax behind the core's logits; returns its tensor."""
    shape = editor.graph.tensors[logits].shape
    if given == "float32":
        if not editor.is_float(logits):
            real = editor.tensor(_LOGITS, "float32", shape)
            editor.operator("DEQUANTIZE", logits, real)
            logits = real
        probabilities = editor.tensor(OUTPUT_NAME, "float32", shape)
    elif editor.is_float(logits):
        raise ValueError("a float core gives float32")
    else:
        probabilities = editor.tensor("probabilities_int8", "int8", shape, _INT8_PROBABILITIES)
    editor.operator("SOFTMAX", logits, probabilities)
    return probabilities if given == "float32" else _end(editor, probabilities, given, OUTPUT_NAME)


def _end(editor: _Editor, raw: int, given: InputDtype, name: str) -> int:
    """``raw``, float or int8, as an output of that dtype and name."""
    tensor = editor.graph.tensors[raw]
    if editor.is_float(raw):
        if given != "float32":
            raise ValueError("a float core gives float32")
        return editor.rename(raw, name)
    if given == "int8":
        return editor.rename(raw, name)
    if given == "float32":
        output = editor.tensor(name, given, tensor.shape)
        editor.operator("DEQUANTIZE", raw, output)
        return output
    stored = tensor.quantization
    quantization = Quantization(scale=float(stored.scale[0]), zero_point=int(stored.zeroPoint[0]) + _TO_UINT8)
    output = editor.tensor(name, given, tensor.shape, quantization)
    editor.operator("QUANTIZE", raw, output)
    return output


def run_tflite(content: bytes, images: Tensor) -> F32:
    """Run N×H×W×3, in the file's input dtype, through a file made by ``add_camera_io`` → N×C in its output dtype.

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
    answers: F32 = np.concatenate(rows)
    if not np.isfinite(answers).all():
        raise BundleError("the TFLite file that was written gives values that are not finite")
    return answers


class _Editor:
    """Adds tensors and operators to the first subgraph of a ``ModelT``."""

    def __init__(self, model: Any, schema: Any) -> None:
        self._model = model
        self._schema = schema
        self.graph = model.subgraphs[0]

    def is_float(self, index: int) -> bool:
        """Whether a tensor is float32."""
        return bool(self.graph.tensors[index].type == self._schema.TensorType.FLOAT32)

    def rename(self, index: int, name: str) -> int:
        """Returns ``index``."""
        self.graph.tensors[index].name = name.encode()
        return index

    def tensor(self, name: str, dtype: InputDtype, shape: Any, quantization: Quantization | None = None) -> int:
        """Returns its index."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = name.encode(), getattr(self._schema.TensorType, dtype.upper()), 0
        tensor.shape = list(shape)
        if quantization is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization.scale], [quantization.zero_point]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind: str, source: int, target: int, *, at: int | None = None) -> None:
        """One tensor in, one out; at the end unless ``at`` says where."""
        code = getattr(self._schema.BuiltinOperator, kind)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._opcode(code)
        operator.inputs, operator.outputs = [source], [target]
        if kind == "SOFTMAX":
            operator.builtinOptions = self._schema.SoftmaxOptionsT()
            operator.builtinOptions.beta = 1.0
            operator.builtinOptionsType = self._schema.BuiltinOptions.SoftmaxOptions
        self.graph.operators.insert(len(self.graph.operators) if at is None else at, operator)

    def set_io(self, source: int, target: int) -> None:
        """Make ``source`` and ``target`` the graph's only input and output, in its signature too."""
        self.graph.inputs, self.graph.outputs = [source], [target]
        for signature in self._model.signatureDefs or []:
            for maps, index in ((signature.inputs, source), (signature.outputs, target)):
                maps[0].tensorIndex, maps[0].name = index, self.graph.tensors[index].name

    def _opcode(self, code: int) -> int:
        """Index of a version-1 entry of the operator table, added if need be. Codes below 127 are stored twice, for old readers."""
        for index, entry in enumerate(self._model.operatorCodes):
            if max(entry.builtinCode, entry.deprecatedBuiltinCode) == code:
                return index
        entry = self._schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        self._model.operatorCodes.append(entry)
        return len(self._model.operatorCodes) - 1
