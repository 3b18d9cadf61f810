"""The ONNX core beyond what the candidates' tests show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime
import torch

from export.convert.core import float_logits, to_grid
from export.convert.to_onnx import core_to_onnx
from tests.fakes.tiny_net import pictures, tiny_model


class Divides(torch.nn.Module):
    """Two hard swishes, as MobileNetV3's authors wrote them, and a division by what is computed, which must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = tiny_model().module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            x = x * torch.nn.functional.relu6(x + 3.0) / 6.0
        logits = self.rest(x)
        return logits / logits.abs().amax(dim=1, keepdim=True)


def test_divisions_by_constants_become_products_and_the_answers_stay() -> None:
    model = replace(tiny_model(), module=Divides().eval())
    core = core_to_onnx(model)
    assert [node.op_type for node in core.graph.node].count("Div") == 1
    used = {name for node in core.graph.node for name in node.input}
    assert {tensor.name for tensor in core.graph.initializer} <= used, "no divisor is left behind"
    images = pictures(8, seed=2)
    session = onnxruntime.InferenceSession(core.SerializeToString(), providers=["CPUExecutionProvider"])
    answer = session.run(None, {"grid": np.ascontiguousarray(to_grid(images).transpose(0, 3, 1, 2))})[0]
    np.testing.assert_allclose(answer, float_logits(model, images), atol=1e-5)
