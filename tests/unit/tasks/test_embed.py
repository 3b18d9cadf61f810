"""Embeddings: read, compared and scored by their neighbours."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge.data import Classes, Region, Score
from edge.manifest import OutputSpec, Quantization
from edge.tasks import embed
from tests.fakes.candidates import answer_of, onnx_candidate

OUTPUT = OutputSpec(name="v", shape=(2,), dtype="float32", meaning="embedding")
BYTES = OutputSpec(name="v", shape=(2,), dtype="int8", meaning="embedding", quantization=Quantization(scale=0.5, zero_point=-1))


def f32(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def region(*answers) -> Region:
    return Region("A1", np.zeros((1, 1, 3), np.uint8), answers=answers)


def decoder(output: OutputSpec) -> embed.Decoder:
    candidate = msgspec.structs.replace(onnx_candidate(), outputs=(output,))
    return embed.Decoder(answer_of("embed", "looks"), candidate, (), 5)


def test_an_answer_is_a_vector_beside_those_that_are_there() -> None:
    before = Classes("kind", (Score("tea", 0, 0.9),))
    (seen,) = decoder(BYTES).decode((np.array([[1, -3]], np.int8),), [region(before)])
    assert seen.answers[0] is before
    assert seen.vector is not None
    assert (seen.slot, seen.vector.tolist(), seen.top) == ("A1", [1.0, -1.0], before.top)


def test_fewer_rows_than_regions_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        decoder(OUTPUT).decode((np.zeros((1, 2), np.float32),), [region(), region()])


def test_embeddings_are_compared_as_they_are_and_by_their_neighbours() -> None:
    expected = f32([1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9])
    same = embed.compare(expected * 3, expected)
    assert (same.images, same.top1_agreement) == (4, 1.0)
    assert same.logit_cosine == pytest.approx(1.0)
    crossed = embed.compare(f32([1, 0], [0, 1], [0.1, 0.9], [0.9, 0.1]), expected)
    assert crossed.top1_agreement == 0.0, "by hand: 0-3 and 1-2 are neighbours instead of 0-1 and 2-3"
    assert crossed.logit_cosine < 0.7


def test_one_embedding_has_no_neighbour() -> None:
    with pytest.raises(ValueError, match="cannot compare embeddings"):
        embed.compare(f32([1, 2]), f32([1, 2]))


def test_recall_at_1_is_whether_the_nearest_other_picture_is_of_the_same_class() -> None:
    vectors = f32([1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9])
    seen = decoder(OUTPUT).decode((vectors,), [region()] * 4)
    scored = embed.score(np.array([0, 0, 1, 0]), seen, ("tea", "milk"))
    assert scored.scores == {"recall_at_1": 0.5}
    assert scored.predicted.tolist() == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="there must be two"):
        embed.score(np.array([0]), seen[:1], ("tea", "milk"))
    assert embed.score(np.array([0, 0]), seen[:2], ("tea", "milk")).scores == {"recall_at_1": 1.0}


def test_opposite_vectors_are_as_unlike_as_can_be_and_one_without_length_is_like_none() -> None:
    expected = f32([1, 0], [0.9, 0.1])
    assert embed.compare(-expected, expected).logit_cosine == pytest.approx(-1.0)
    assert embed.compare(f32([0, 0], [0.9, 0.1]), expected).logit_cosine == pytest.approx(0.5)
    assert embed.compare(expected, f32([1, 0], [0.9, 0.1])).logit_cosine <= 1.0


@pytest.mark.parametrize("shapes", [((2, 2), (2, 3)), ((2, 3), (2, 2)), ((3, 2), (2, 2)), ((2,), (2,)), ((1, 2), (1, 2))])
def test_embeddings_of_other_shapes_are_not_compared(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    ours, expected = (np.ones(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match="cannot compare embeddings of shape"):
        embed.compare(ours, expected)


def test_what_a_candidate_said_is_compared_as_real_numbers() -> None:
    assert embed.rows((np.array([[1, -3]], np.int8),), [BYTES]).tolist() == [[1.0, -1.0]]
    expected = f32([1, 2])
    assert embed.shown(expected, [BYTES]) is expected
    assert embed.row_shape([OUTPUT]) == (2,)


def test_an_embedder_has_one_vector_and_no_labels() -> None:
    embed.check(answer_of("embed"), [OUTPUT])
    with pytest.raises(ValueError, match="labels: an embedder has none"):
        embed.check(answer_of("embed", labels=2), [OUTPUT])
    with pytest.raises(ValueError, match="output v means 'logits', not 'embedding'"):
        embed.check(answer_of("embed"), [msgspec.structs.replace(OUTPUT, meaning="logits")])


def test_a_vector_is_read_from_its_own_output_among_several() -> None:
    candidate = msgspec.structs.replace(onnx_candidate(), outputs=(OUTPUT, OUTPUT))
    raw = (f32([9, 9]), f32([1, 2]))
    (seen,) = embed.Decoder(answer_of("embed", "looks", outputs=(1,)), candidate, (), 5).decode(raw, [region()])
    assert seen.vector is not None
    assert seen.vector.tolist() == [1.0, 2.0]
