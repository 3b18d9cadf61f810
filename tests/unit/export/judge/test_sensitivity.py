"""The simulated error of one layer, against one worked out by hand, against the real quantizer, and in its order."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch

from export.convert import quantize_onnx
from export.convert.core import float_logits, to_grid
from export.convert.options import QuantizeOptions
from export.convert.to_onnx import core_to_onnx
from export.judge.sensitivity import DECIBELS_MAX, decibels, measure
from tests.fakes.hard_nets import uneven_model
from tests.fakes.tiny_net import pictures, tiny_model

LAYERS = ("stem", "depthwise", "pointwise", "head")


def test_the_worst_layer_comes_first_and_is_the_one_made_hard() -> None:
    errors = measure(uneven_model(), pictures(8, 1))
    assert sorted(error.layer for error in errors) == sorted(LAYERS)
    assert [error.sqnr_db for error in errors] == sorted(error.sqnr_db for error in errors)
    assert errors[0].layer == "depthwise"
    assert errors[0].own_sqnr_db < 20 < min(error.own_sqnr_db for error in errors[1:])


def test_fewer_weight_bits_lose_more_and_the_last_layer_loses_at_the_answer() -> None:
    seven, eight = ({e.layer: e for e in measure(tiny_model(), pictures(8, 1), weight_bits=bits)} for bits in (7, 8))
    assert seven["pointwise"].sqnr_db < eight["pointwise"].sqnr_db
    assert eight["head"].sqnr_db == eight["head"].own_sqnr_db
    assert (eight["stem"].macs, eight["stem"].weight_elements) == (16 * 16 * 16 * 27, 432)


def test_it_ranks_as_the_real_quantizer_does_one_layer_at_a_time() -> None:
    import onnxruntime

    model, images = uneven_model(), pictures(8, 1)
    core, expected = core_to_onnx(model), float_logits(uneven_model(), images)
    real = {}
    for layer in LAYERS:
        others = tuple(other for other in LAYERS if other != layer)
        options = QuantizeOptions(8, float_layers=others)
        graph = quantize_onnx.quantize_core(core, images, options=options, advance=lambda: None)
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        feed = np.ascontiguousarray(to_grid(images).transpose(0, 3, 1, 2))
        noise = (session.run(None, {"grid": feed})[0] - expected).astype(float)
        real[layer] = decibels(float((expected.astype(float) ** 2).sum()), float((noise**2).sum()))
    told = {error.layer: error.sqnr_db for error in measure(model, images)}
    assert min(real, key=real.__getitem__) in sorted(told, key=told.__getitem__)[:2], (real, told)


def test_decibels() -> None:
    assert decibels(100.0, 1.0) == 20.0
    assert decibels(1.0, 0.0) == DECIBELS_MAX
    assert decibels(0.0, 1.0) == decibels(1.0, float("nan")) == -DECIBELS_MAX


def test_the_network_is_not_changed() -> None:
    model = tiny_model()
    before = [p.clone() for p in model.module.parameters()]
    measure(model, pictures(5, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, model.module.parameters(), strict=True))
