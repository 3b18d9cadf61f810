"""Decoding of classifier outputs."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.data import Classes, Region, Score
from edge.manifest import OutputSpec, Quantization
from edge.tasks import classify
from edge.tasks.classify import Decoder, best_indices, class_logits, class_probabilities, compare, shown_logits
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


def f32(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_cosine_and_agreement_by_hand() -> None:
    # Centred: (-1, 0, 1) and (1, 0, -1) are opposite; (-1, 0, 1) and itself are equal: the mean is 0, one of two agrees.
    measured = compare(f32([1, 2, 3], [1, 2, 3]), f32([1, 2, 3], [3, 2, 1]))
    assert measured.logit_cosine == pytest.approx(0.0, abs=1e-6)
    assert measured.top1_agreement == 0.5
    assert measured.images == 2


@given(arrays(np.float32, (4, 5), elements=st.floats(-20, 20, width=32)), st.floats(-50, 50))
def test_a_constant_added_to_all_logits_changes_nothing(logits: np.ndarray, constant: float) -> None:
    noise = np.linspace(-1, 1, 5, dtype=np.float32)
    one = compare(logits + noise, logits)
    other = compare((logits + noise).astype(np.float64) + constant, logits)
    assert one.logit_cosine == pytest.approx(other.logit_cosine, abs=1e-3)


@given(arrays(np.float32, (3, 7), elements=st.floats(-30, 30, width=32)))
def test_log_of_softmax_is_judged_like_the_logits(logits: np.ndarray) -> None:
    logits = logits + np.arange(7, dtype=np.float32)
    wide = logits.astype(np.float64)
    log_p = wide - np.log(np.exp(wide - wide.max(1, keepdims=True)).sum(1, keepdims=True)) - wide.max(1, keepdims=True)
    assert compare(log_p.astype(np.float32), logits).logit_cosine == pytest.approx(1.0, abs=1e-4)


def test_a_constant_output_has_no_direction_and_scores_zero() -> None:
    assert compare(f32([5, 5, 5]), f32([1, 2, 3])).logit_cosine == 0.0


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match="shape"):
        compare(f32([1, 2]), f32([1, 2, 3]))
    with pytest.raises(ValueError, match="shape"):
        compare(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))


@pytest.mark.parametrize(
    "shapes", [((1, 2), (1, 3)), ((1, 3), (1, 2)), ((1, 2), (2, 2)), ((2, 2), (1, 2)), ((4,), (4,)), ((0, 3), (0, 3))]
)
def test_logits_of_other_shapes_are_not_compared(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    ours, expected = (np.ones(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match="cannot compare logits of shape"):
        compare(ours, expected)


def test_the_mean_cosine_is_over_pictures_and_never_beyond_one() -> None:
    measured = compare(f32([3, 1, 2], [0, 4, 8]), f32([3, 2, 1], [0, 1, 2]))
    assert measured.logit_cosine == pytest.approx((0.5 + 1) / 2), "(1, -1, 0)·(1, 0, -1) over 2, and the same direction"
    assert measured.top1_agreement == 1.0
    assert compare(f32([1, 0]), f32([0, 1])).logit_cosine == pytest.approx(-1.0)
    assert compare(f32([0.1, 0.7, 0.3]), f32([0.1, 0.7, 0.3])).logit_cosine <= 1.0


def test_an_answer_is_read_from_its_own_output_among_several() -> None:
    candidate = msgspec.structs.replace(onnx_candidate(), outputs=(LOGITS, SOFTMAX))
    before = Classes("first", ())
    region = replace(crops(1)[0], answers=(before,))
    raw = (np.array([[9, 0, 0]], np.float32), np.array([[0.1, 0.2, 0.7]], np.float32))
    (seen,) = Decoder(answer_of("classify", "second", outputs=(1,)), candidate, ["a", "b", "c"], 1).decode(raw, [region])
    assert seen.answers[0] is before
    assert [(one.label, one.index) for one in seen.answers[1].top] == [("c", 2)]
    assert seen.answers[1].answer == "second"


def test_a_classifier_has_a_label_for_each_value_of_its_one_output() -> None:
    classify.check(answer_of("classify", labels=3), [LOGITS])
    classify.check(answer_of("classify", labels=3), [SOFTMAX])
    assert classify.row_shape([LOGITS]) == (3,)
    with pytest.raises(ValueError, match="labels: a classifier needs them"):
        classify.check(answer_of("classify"), [LOGITS])
    for count in (2, 4):
        with pytest.raises(ValueError, match=f"3 outputs for {count} labels"):
            classify.check(answer_of("classify", labels=count), [LOGITS])
    with pytest.raises(ValueError, match="output o means 'embedding'"):
        classify.check(answer_of("classify", labels=3), [msgspec.structs.replace(LOGITS, meaning="embedding")])


def test_what_a_candidate_said_is_compared_in_logits() -> None:
    raw = np.array([[128, 64, 64]], np.uint8)
    np.testing.assert_allclose(classify.rows((raw,), [QUANTIZED]), np.log([[0.5, 0.25, 0.25]]), rtol=1e-6)
    np.testing.assert_allclose(classify.shown(f32([0, 0, -50]), [QUANTIZED])[0, 2], np.log(1 / 512), rtol=1e-6)
    assert class_logits(f32([0, 0.5, 0.5]), SOFTMAX).min() == pytest.approx(np.log(1e-38), rel=1e-3)


def test_the_hair_is_on_the_best_class_alone() -> None:
    shown = shown_logits(f32([1, 0, 0], [0, 0, 1]), QUANTIZED)
    log_p = np.log(f32([np.e, 1, 1], [1, 1, np.e]) / (np.e + 2))
    np.testing.assert_allclose(shown - log_p, [[1e-4, 0, 0], [0, 0, 1e-4]], atol=1e-6)


def test_probabilities_of_large_logits_are_finite() -> None:
    found = class_probabilities(f32([1000, 1000, 0], [0, np.log(2), np.log(5)]), LOGITS)
    np.testing.assert_allclose(found, [[0.5, 0.5, 0], [1 / 8, 2 / 8, 5 / 8]], rtol=1e-5)


def test_a_score_counts_the_first_and_the_first_five() -> None:
    labels = [f"c{i}" for i in range(7)] + ["c0"]
    order = [6, 5, 4, 3, 2, 1, 0]

    def seen(first: int) -> Region:
        ranked = [first, *(i for i in order if i != first)]
        return replace(crops(1)[0], answers=(Classes("m", tuple(Score(labels[i], i, 0.1) for i in ranked)),))

    scored = classify.score(np.array([6, 2, 1]), [seen(6), seen(6), seen(6)], labels)
    assert scored.scores == {"top1": pytest.approx(1 / 3), "top5": pytest.approx(2 / 3)}
    assert scored.predicted.tolist() == [6, 6, 6]
    again = replace(crops(1)[0], answers=(Classes("m", (Score("c0", 7, 0.9),)),))
    assert classify.score(np.array([0]), [again], labels).predicted.tolist() == [0], (
        "a name that occurs twice is its first class"
    )
    with pytest.raises(ValueError, match="longer"):
        classify.score(np.array([0]), [again, again], labels)


@pytest.mark.parametrize("k", [1, 5, 16, 17, 20])
def test_of_equal_values_the_lower_index_comes_first(k: int) -> None:
    row = np.array([0.1, 0.5] * 10, np.float32)
    expected = [*range(1, 20, 2), *range(0, 20, 2)][:k]
    assert best_indices(row, k) == expected
    assert row.max() == np.float32(0.5), "and the row is left as it was"
