"""Edit a TFLite file: the front and end that every TFLite candidate gets.

Files are read with ``flatbuffer_utils.read_model_from_bytearray``, which brings weights that ai-edge-quantizer stored outside the
flatbuffer back into it; editing the flatbuffer without that step silently drops them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.data import Tensor
from edge.errors import BundleError
from edge.manifest import InputDtype, TaskName
from export.convert.core import F32, INPUT_NAME, PIXEL_GRID
from export.convert.tflite_editor import Editor
from export.tasks import DEFAULT_TASK, task_of


def add_camera_io(
    core: bytes, fed: InputDtype = "uint8", given: InputDtype = "float32", task: TaskName = DEFAULT_TASK
) -> bytes:
    """The core (float or int8; one input 1×H×W×3, one output 1×C) with the input of a camera and the end of its task.

    Args:
        core: with the answers of the float network as output.
        fed: of ``image`` 1×H×W×3 RGB: uint8 is raw pixels, int8 pixels less 128, float32 the pixel grid (pixel − 127) / 128.
        given: of the output 1×C, which the task names.
        task: gives the end.

    Raises:
        BundleError: the edited file does not load, or does not compute.
        ValueError: a float core cannot give an 8-bit output, and is fed no int8.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    editor = Editor(model, schema)
    shape = editor.graph.tensors[editor.graph.inputs[0]].shape
    image = _enter(editor, fed)
    raw = editor.graph.outputs[0]
    output = task_of(task).tflite_end(editor, raw, given)
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


def _enter(editor: Editor, fed: InputDtype) -> int:
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
