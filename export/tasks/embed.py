"""Embedding: C values that lie close together for pictures of the same thing; files give them as the core does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.manifest import InputDtype, Meaning, TaskName
from export.tasks.base import OutputText

if TYPE_CHECKING:
    import torch

    from edge.data import F32, U8Image
    from export.convert.tflite_editor import Editor
    from export.load.model import FloatModel


class Embed:
    """A vector of C values for each picture."""

    name: TaskName = "embed"
    noun = "an embedder"
    output_name = "embedding"
    meaning: Meaning = "embedding"
    has_labels = False
    picks_class = False

    def from_classifier(self, module: torch.nn.Module, size_hw_px: tuple[int, int]) -> torch.nn.Module:
        """What its head would have been given."""
        from export.load.head import without_head

        return without_head(module, size_hw_px)

    def float_answers(self, model: FloatModel, images: U8Image) -> F32:
        """Embeddings."""
        from export.convert.core import float_logits

        return float_logits(model, images)

    def onnx_end(self, core_output: str) -> list[Any]:
        """The core's output by its name."""
        from onnx import helper

        return [helper.make_node("Identity", [core_output], [self.output_name], name="embedding")]

    def tflite_end(self, editor: Editor, core_output: int, given: InputDtype) -> int:
        """The core's output by its name; in 8 bits with the core's own steps."""
        return editor.output(core_output, given, self.output_name)

    def purpose(self, width: int) -> str:
        """See ``ExportTask``."""
        return f"embeds it in {width} dimensions"

    def output_text(self, model: FloatModel) -> OutputText:
        """An embedding; its values have neither names nor limits."""
        return OutputText(f"Embedding of {model.width} dimensions")
