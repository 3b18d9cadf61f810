"""Weights rounded together must lie on the grid, and answer better than weights rounded one by one."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from edge.tasks.classify import compare
from export.convert import rounding
from export.convert.core import float_logits
from export.convert.rounding import LEVELS, round_weights, statistics
from tests.fakes.tiny_net import pictures, tiny_model


def weights(model):
    return {name: p.detach().numpy() for name, p in model.module.named_parameters() if p.ndim > 1}


def rounded(bits, top=None):
    model = tiny_model()
    return model, round_weights(model, statistics(model, pictures(32, 1), lambda: None), weight_bits=bits, advance=lambda: None)


def one_by_one(model, top):
    module = copy.deepcopy(model.module)
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim > 1:
                step = p.abs().flatten(1).amax(dim=1).reshape(-1, *[1] * (p.ndim - 1)) / top
                p.copy_((p / step).round() * step)
    return replace(model, module=module)


@pytest.mark.parametrize("bits", [7, 8])
def test_weights_lie_on_the_grid_that_a_quantizer_finds_again(bits):
    model, result = rounded(bits)
    for name, values in weights(result).items():
        rows = values.reshape(len(values), -1)
        before = weights(model)[name].reshape(len(values), -1)
        np.testing.assert_allclose(np.abs(rows).max(axis=1), np.abs(before).max(axis=1), rtol=1e-6)
        steps = rows / (np.abs(rows).max(axis=1, keepdims=True) / LEVELS[bits])
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)


def test_a_long_row_is_rounded_in_parts_that_share_its_step(monkeypatch):
    _, whole = rounded(7)
    monkeypatch.setattr(rounding, "_LONGEST", 10)  # of up to 27 weights in a row
    model = tiny_model()
    layers = statistics(model, pictures(32, 1), lambda: None)
    assert max(layer.gram.shape[1] for layer in layers) <= 10
    assert any(layer.gram.shape[0] * layer.gram.shape[1] == layer.module.weight[0].numel() > 10 for layer in layers)
    parted = round_weights(model, layers, weight_bits=7, advance=lambda: None)
    for name, values in weights(parted).items():
        rows, before = (w.reshape(len(w), -1) for w in (values, weights(model)[name]))
        steps = rows / (np.abs(before).max(axis=1, keepdims=True) / LEVELS[7])
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    images = pictures(64, 2)
    expected = float_logits(model, images)
    of_whole, of_parts = (compare(float_logits(each, images), expected).logit_cosine for each in (whole, parted))
    of_none = compare(float_logits(one_by_one(model, LEVELS[7]), images), expected).logit_cosine
    assert of_none < of_parts <= of_whole + 1e-4, (of_none, of_parts, of_whole)


def test_it_answers_better_than_rounding_one_by_one(monkeypatch):
    monkeypatch.setitem(LEVELS, 7, 7)  # coarse, so that the difference is plain on a small network
    model, result = rounded(7)
    images = pictures(64, 2)
    expected = float_logits(model, images)
    together = compare(float_logits(result, images), expected).logit_cosine
    alone = compare(float_logits(one_by_one(model, 7), images), expected).logit_cosine
    assert 1 - together < (1 - alone) / 2, (together, alone)


def test_the_float_network_is_not_changed():
    model = tiny_model()
    before = {name: value.copy() for name, value in weights(model).items()}
    round_weights(model, statistics(model, pictures(16, 1), lambda: None), weight_bits=7, advance=lambda: None)
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_unused_inputs_do_not_stop_it():
    model = tiny_model()
    black = np.full((16, 32, 32, 3), 127, dtype=np.uint8)  # zero on the pixel grid: nothing is known about the first layer
    result = round_weights(model, statistics(model, black, lambda: None), weight_bits=8, advance=lambda: None)
    assert all(np.isfinite(value).all() for value in weights(result).values())


def test_every_picture_is_counted():
    seen = []
    statistics(tiny_model(), pictures(5, 1), lambda: seen.append(1))
    assert len(seen) == 5
