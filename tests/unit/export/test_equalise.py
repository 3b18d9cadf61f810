"""Equalisation must not change the float network, and must help 8 bits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.convert.core import float_logits
from export.convert.equalise import equalise
from export.convert.trace import Trace
from tests.fakes.hard_nets import OUTLIER, uneven_model, viewing_model
from tests.fakes.tiny_net import pictures, tiny_model


@pytest.mark.parametrize("build", [tiny_model, uneven_model, viewing_model])
def test_the_answers_stay(build) -> None:
    model, images = build(), pictures(16, 1)
    before = float_logits(model, images)
    changed = equalise(model, images, lambda: None)
    np.testing.assert_allclose(float_logits(changed, images), before, atol=1e-4 * np.abs(before).max())
    assert any(not torch.equal(a, b) for a, b in zip(changed.module.parameters(), model.module.parameters(), strict=True))


def test_channels_come_to_like_ranges() -> None:
    model, images, seen = uneven_model(), pictures(16, 1), []
    changed = equalise(model, images, lambda: seen.append(1))
    assert len(seen) == 16
    weights = [m.module.norm.weight.detach().abs() for m in (model, changed)]
    spread = [float(weight.max() / weight.min()) for weight in weights]
    assert spread[0] > OUTLIER / 2
    assert spread[1] < spread[0] / 4


def test_the_trace_knows_layers_sizes_and_pairs() -> None:
    trace = Trace(tiny_model(), 2)
    assert [(layer.name, layer.weight_elements) for layer in trace.layers] == [
        ("stem", 432),
        ("depthwise", 144),
        ("pointwise", 384),
        ("head", 120),
    ]
    assert trace.layers[0].macs == 16 * 16 * 16 * 27
    assert [(p.first, p.norm, p.activation, p.second) for p in trace.pairs] == [
        ("stem", "norm", "relu6", "depthwise"),
        ("depthwise", None, "relu6", "pointwise"),
    ]
