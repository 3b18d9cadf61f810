"""The seam between an export and what a network is for: everything that one task does otherwise than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from edge.data import F32, U8Image
    from edge.manifest import InputDtype, Meaning, TaskName
    from export.convert.tflite_editor import Editor
    from export.load.model import FloatModel


@dataclass(frozen=True, slots=True)
class OutputText:
    """What a TFLite file's metadata says of its output. ``limits``: lowest and highest real value, None where there are none.
    ``labels``: one a line, in the order of the values; None where they have no names."""

    description: str
    limits: tuple[float, float] | None = None
    labels: tuple[str, ...] | None = None


class ExportTask(Protocol):
    """One task. Importing its module loads neither PyTorch nor a converter, because the command line asks it what may be asked for.

    A network's *core* has one output, N×C float32: what ``float_answers`` gives. The graph's end turns it into the file's output.
    """

    @property
    def name(self) -> TaskName:
        """As in the manifest and on the command line."""
        ...

    @property
    def noun(self) -> str:
        """A network for it, with its article, as in "an embedder"."""
        ...

    @property
    def output_name(self) -> str:
        """Of the output of every exported file."""
        ...

    @property
    def meaning(self) -> Meaning:
        """What that output holds."""
        ...

    @property
    def has_labels(self) -> bool:
        """Whether its classes have names: --labels, and labels.txt in the bundle."""
        ...

    @property
    def picks_class(self) -> bool:
        """Whether it answers each picture with one of C classes. Only then is there accuracy (labelled photos, training, pruning), a
        decision to explain, and a width that is --num-classes."""
        ...

    def from_classifier(self, module: torch.nn.Module, size_hw_px: tuple[int, int]) -> torch.nn.Module:
        """The network for this task, where only a classifier is at hand. Raises DataError for one that cannot be changed so."""
        ...

    def float_answers(self, model: FloatModel, images: U8Image) -> F32:
        """What the float network answers to N×H×W×3 uint8 RGB at the model's size, N×C; the file's answers are compared with it."""
        ...

    def onnx_end(self, core_output: str) -> list[Any]:
        """Nodes (``onnx.NodeProto``) behind the core's N×C float32 tensor of that name; the last one gives ``output_name``, N×C."""
        ...

    def tflite_end(self, editor: Editor, core_output: int, given: InputDtype) -> int:
        """Add operators behind the core's 1×C tensor, float or int8; returns the tensor ``output_name``, 1×C of dtype ``given``.

        Raises:
            ValueError: a float core cannot give an 8-bit output.
        """
        ...

    def purpose(self, width: int) -> str:
        """What a network with ``width`` outputs does with an image, to go on from "takes an image and"."""
        ...

    def output_text(self, model: FloatModel) -> OutputText:
        """What a TFLite file says of its output."""
        ...
