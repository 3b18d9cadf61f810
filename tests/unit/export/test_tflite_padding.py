"""Max-pooling with padding in 8 bits: ResNet, GoogLeNet, DenseNet and ShuffleNet begin with it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from edge.tasks.classify import compare
from export.convert import quantize_tflite, tflite_graph, to_tflite
from export.convert.core import float_logits
from export.convert.options import QuantizeOptions
from export.convert.tflite_padding import finite_paddings
from export.load.model import FloatModel
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import CLASSES, GRID, SIZE, pictures

need("litert_torch", "ai_edge_quantizer")


class Pooled(torch.nn.Module):
    """Values on both sides of zero are pooled, so that padding by 0 would win."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.pool = torch.nn.MaxPool2d(3, stride=2, padding=1)
        self.head = torch.nn.Linear(8 * (SIZE // 4) ** 2, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.stem(x) - 3.0).flatten(1))


def test_padded_max_pooling_answers_like_the_float_network() -> None:
    torch.manual_seed(0)
    model = FloatModel("pooled", Pooled().eval(), (SIZE, SIZE), GRID, CLASSES, None, None, None, len(CLASSES))
    images = pictures(24, seed=3)
    core = to_tflite.core_to_tflite(model)
    _, paddings = finite_paddings(core)
    assert len(paddings) == 1, "the converter pads by minus infinity"
    quantized = quantize_tflite.quantize_core(core, images[:16], options=QuantizeOptions(8), advance=lambda: None)
    content = tflite_graph.add_camera_io(quantized, "uint8", "float32", "classify")
    ours = np.log(np.maximum(tflite_graph.run_tflite(content, images), 1e-30))
    assert compare(ours.astype(np.float32), float_logits(model, images)).logit_cosine > 0.99


def test_a_core_without_padding_stays_as_it_is() -> None:
    from tests.fakes.tiny_net import tiny_model

    core = to_tflite.core_to_tflite(tiny_model())
    assert finite_paddings(core) == (core, [])
