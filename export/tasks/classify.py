"""Classification: C scores, one a class; files end in a softmax, from whose logarithm the gate has the logits back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.manifest import InputDtype, Meaning, Quantization, TaskName
from export.tasks.base import OutputText

if TYPE_CHECKING:
    import torch

    from edge.data import F32, U8Image
    from export.convert.tflite_editor import Editor
    from export.load.model import FloatModel

_INT8_PROBABILITIES = Quantization(scale=1 / 256, zero_point=-128)
"""What the runtimes demand of an int8 softmax: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec"""


class Classify:
    """One of C classes for each picture."""

    name: TaskName = "classify"
    noun = "a classifier"
    output_name = "probabilities"
    meaning: Meaning = "softmax"
    has_labels = True
    picks_class = True

    def from_classifier(self, module: torch.nn.Module, size_hw_px: tuple[int, int]) -> torch.nn.Module:
        """``module`` as it is."""
        return module

    def float_answers(self, model: FloatModel, images: U8Image) -> F32:
        """Logits."""
        from export.convert.core import float_logits

        return float_logits(model, images)

    def onnx_end(self, core_output: str) -> list[Any]:
        """A softmax."""
        from onnx import helper

        return [helper.make_node("Softmax", [core_output], [self.output_name], name="softmax", axis=1)]

    def tflite_end(self, editor: Editor, core_output: int, given: InputDtype) -> int:
        """A softmax: float for a float32 output, so that the logits keep the core's resolution; else int8, in steps of 1/256."""
        shape = editor.graph.tensors[core_output].shape
        if given == "float32":
            logits = core_output
            if not editor.is_float(logits):
                logits = editor.tensor("logits", "float32", shape)
                editor.operator("DEQUANTIZE", core_output, logits)
            probabilities = editor.tensor(self.output_name, "float32", shape)
            editor.operator("SOFTMAX", logits, probabilities)
            return probabilities
        if editor.is_float(core_output):
            raise ValueError("a float core gives float32")
        probabilities = editor.tensor("probabilities_int8", "int8", shape, _INT8_PROBABILITIES)
        editor.operator("SOFTMAX", core_output, probabilities)
        return editor.output(probabilities, given, self.output_name)

    def purpose(self, width: int) -> str:
        """See ``ExportTask``."""
        return f"tells {width} classes apart"

    def output_text(self, model: FloatModel) -> OutputText:
        """Probabilities, with the labels of the classes."""
        return OutputText(f"Probabilities of {model.width} classes", (0.0, 1.0), model.labels)
