"""Decoding of classifier outputs."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.data import Region
from edge.manifest import OutputSpec, Quantization
from edge.tasks.classify import Decoder, best_indices, class_logits, class_probabilities, shown_logits
from tests.fakes.candidates import answer_of, onnx_candidate

LOGITS = OutputSpec(name="o", shape=(3,), dtype="float32", meaning="logits")
SOFTMAX = OutputSpec(name="o", shape=(3,), dtype="float32", meaning="softmax")
QUANTIZED = OutputSpec(
    name="o", shape=(3,), dtype="uint8", meaning="softmax", quantization=Quantization(scale=1 / 256, zero_point=0)
)


def crops(count: int) -> list[Region]:
    return [Region(f"slot{i}", np.zeros((1, 1, 3), np.uint8)) for i in range(count)]


def decoder(top_k: int) -> Decoder:
    candidate = msgspec.structs.replace(onnx_candidate(), outputs=(SOFTMAX,))
    return Decoder(answer_of("classify"), candidate, ["a", "b", "c"], top_k)


def test_top_k_best_first_with_labels_and_slots() -> None:
    seen = decoder(2).decode((np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], np.float32),), crops(2))
    assert [o.slot for o in seen] == ["slot0", "slot1"]
    assert [[s.label for s in o.top] for o in seen] == [["c", "b"], ["a", "b"]]
    assert seen[0].top[0].score == pytest.approx(0.7)


def test_more_k_than_classes_gives_all() -> None:
    seen = decoder(50).decode((np.array([[0.1, 0.2, 0.7]], np.float32),), crops(1))
    assert len(seen[0].top) == 3


def test_quantized_probabilities() -> None:
    raw = np.array([[0, 64, 192]], np.uint8)
    np.testing.assert_allclose(class_probabilities(raw, QUANTIZED), [[0, 0.25, 0.75]])
    assert np.isfinite(class_logits(raw, QUANTIZED)).all(), "a probability that was quantized to 0 has a finite log"


def test_what_a_quantized_softmax_cannot_show_is_not_held_against_it() -> None:
    log_p = np.log(np.array([[0.9, 0.0999, 1e-9], [1e-4, 3e-4, 0.9996]], np.float32))
    stored = np.rint(np.exp(log_p) * 256).clip(0, 255).astype(np.uint8)
    expected = shown_logits(log_p + 7, QUANTIZED)
    np.testing.assert_allclose(class_logits(stored, QUANTIZED), expected, atol=0.02)
    assert expected.min() == pytest.approx(np.log(1 / 512))
    np.testing.assert_array_equal(shown_logits(log_p, SOFTMAX), log_p)


def test_the_best_class_stays_the_best_below_the_smallest_step() -> None:
    flat = np.zeros((1, 1000), np.float32)
    flat[0, 500] = 0.5
    assert shown_logits(flat, QUANTIZED).argmax() == 500


def test_fewer_rows_than_crops_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        decoder(1).decode((np.zeros((1, 3), np.float32),), crops(2))


@given(arrays(np.float32, (2, 3), elements=st.floats(-80, 80, width=32)))
def test_logits_become_probabilities_and_back(logits: np.ndarray) -> None:
    probabilities = class_probabilities(logits, LOGITS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all() or np.isclose(
        logits, logits.max(1, keepdims=True)
    ).sum() > 2
    np.testing.assert_array_equal(class_logits(logits, LOGITS), logits)


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32)), st.integers(1, 45))
def test_best_indices_are_a_sorted_prefix(row: np.ndarray, k: int) -> None:
    best = best_indices(row, k)
    assert len(best) == len(set(best)) == min(k, len(row))
    values = row[best]
    assert (np.diff(values) <= 0).all()
    assert values.min() >= np.delete(row, best).max(initial=0)
