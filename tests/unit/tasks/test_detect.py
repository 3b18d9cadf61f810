"""Detection: which boxes count, where they lie in a region, and how two detectors are compared."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.data import Boxes, Region
from edge.manifest import Detection, OutputSpec, Quantization
from edge.tasks import detect
from tests.fakes.candidates import answer_of, onnx_candidate

OUTPUTS = (
    OutputSpec(name="b", shape=(3, 4), dtype="float32", meaning="boxes"),
    OutputSpec(name="s", shape=(3, 2), dtype="float32", meaning="scores"),
)
ANSWER = msgspec.structs.replace(answer_of("detect", "things", labels=2, outputs=(0, 1)), detection=Detection())
BOXES = [[0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 40]]


def rows(boxes: list[list[float]], scores: list[list[float]]) -> np.ndarray:
    return np.concatenate([np.array(boxes, np.float32), np.array(scores, np.float32)], axis=1)


def region(height: int = 64, width: int = 64) -> Region:
    return Region("A1", np.zeros((height, width, 3), np.uint8))


def decoded(scores: list[list[float]], height: int = 64, width: int = 64, **rules: float) -> Boxes:
    candidate = msgspec.structs.replace(onnx_candidate(), outputs=OUTPUTS)
    answer = msgspec.structs.replace(ANSWER, detection=Detection(**rules))
    raw = (np.array([BOXES], np.float32), np.array([scores], np.float32))
    (seen,) = detect.Decoder(answer, candidate, ["jar", "tin"], 5).decode(raw, [region(height, width)])
    (found,) = seen.answers
    assert isinstance(found, Boxes)
    return found


def test_of_boxes_over_each_other_the_surest_of_a_label_counts() -> None:
    found = decoded([[0.6, 0.1], [0.9, 0.2], [0.1, 0.8]])
    assert [(one.label, one.index, round(one.score, 3)) for one in found.top] == [("jar", 0, 0.9), ("tin", 1, 0.8)]
    assert len(decoded([[0.6, 0.1], [0.1, 0.9], [0.1, 0.8]]).top) == 3, "two labels may lie over each other"
    assert len(decoded([[0.6, 0.1], [0.9, 0.2], [0.1, 0.8]], overlap_max=0.95).top) == 3


def test_what_is_not_sure_enough_does_not_count_and_the_threshold_itself_does() -> None:
    assert [one.score for one in decoded([[0.5, 0.1], [0.1, 0.2], [0.1, 0.499]]).top] == [0.5]
    assert decoded([[0.1, 0.1]] * 3).top == ()
    assert len(decoded([[0.6, 0.1], [0.1, 0.9], [0.1, 0.8]], most=2).top) == 2


def test_a_box_without_an_area_is_none() -> None:
    nothing = rows([[5, 5, 5, 9], [9, 9, 5, 20]], [[0.9, 0], [0.9, 0]])
    assert [len(part) for part in detect.kept(nothing, Detection())] == [0, 0, 0]


def test_boxes_are_told_in_the_pixels_of_the_region() -> None:
    size = onnx_candidate().input.size_hw_px
    found = decoded([[0.1, 0.1], [0.1, 0.1], [0.9, 0.1]], height=size[0] * 2, width=size[1] * 2)
    np.testing.assert_allclose(found.boxes_xyxy_px, [[40, 40, 60, 80]])


def test_quantized_outputs_are_read_as_real_numbers() -> None:
    half = Quantization(scale=0.5, zero_point=-4)
    stored = (msgspec.structs.replace(OUTPUTS[0], dtype="int8", quantization=half), OUTPUTS[1])
    raw = (np.full((1, 3, 4), 6, np.int8), np.zeros((1, 3, 2), np.float32))
    assert detect.rows(raw, stored)[0, 0].tolist() == [5, 5, 5, 5, 0, 0]
    assert detect.row_shape(OUTPUTS) == (3, 6)


def test_a_detector_is_compared_by_the_boxes_that_both_find() -> None:
    two = rows([[0, 0, 10, 10], [20, 20, 30, 40], [0, 0, 1, 1]], [[0.9, 0], [0, 0.8], [0, 0]])
    shifted = rows([[0, 0, 10, 8], [50, 20, 60, 40], [0, 0, 1, 1]], [[0.9, 0], [0, 0.8], [0, 0]])
    same = detect.compare(two[None], two[None])
    assert (same.images, same.logit_cosine, same.top1_agreement) == (1, 1.0, 1.0)
    apart = detect.compare(shifted[None], two[None])
    assert apart.top1_agreement == 0.5, "one of two is found by both, the other by each alone"
    assert apart.logit_cosine == pytest.approx(0.8)
    nothing = rows(BOXES, [[0, 0]] * 3)
    assert detect.compare(nothing[None], two[None]).top1_agreement == 0.0
    with pytest.raises(ValueError, match="finds nothing"):
        detect.compare(two[None], nothing[None])


def test_each_box_is_matched_once() -> None:
    one = rows([[0, 0, 10, 10], [0, 0, 0, 0], [0, 0, 0, 0]], [[0.9, 0], [0, 0], [0, 0]])
    twice = rows([[0, 0, 10, 10], [3, 3, 13, 13], [0, 0, 0, 0]], [[0.9, 0], [0.8, 0], [0, 0]])
    assert detect.compare(twice[None], one[None]).top1_agreement == pytest.approx(2 / 3)
    whole, halves = rows([[0, 0, 10, 12]], [[0.9, 0]]), rows([[0, 0, 10, 8], [0, 5, 10, 12]], [[0.9, 0], [0.8, 0]])
    pair = np.concatenate([whole, np.zeros((1, 6), np.float32)])
    assert detect.compare(halves[None], pair[None]).top1_agreement == pytest.approx(2 / 3), "each half alone would be the thing"


def test_a_picture_counts_by_its_surest_box_and_one_without_as_nothing() -> None:
    found = decoded([[0.1, 0.9], [0.1, 0.1], [0.8, 0.1]])
    seen = [Region("a", region().pixels, answers=(found,)), Region("b", region().pixels, answers=())]
    scored = detect.score(np.array([1, 0]), seen, ("jar", "tin"))
    assert scored.scores == {"top1": 0.5}
    assert scored.predicted.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("change", "outputs", "named"),
    [
        ({"labels": None}, OUTPUTS, "labels: a detector needs them"),
        ({"detection": None}, OUTPUTS, "which boxes count"),
        ({}, OUTPUTS[::-1], "boxes, then scores"),
        ({}, OUTPUTS[:1], "boxes, then scores"),
        ({}, (msgspec.structs.replace(OUTPUTS[0], shape=(3, 5)), OUTPUTS[1]), "boxes are K×4"),
        ({}, (msgspec.structs.replace(OUTPUTS[0], shape=(3, 3)), OUTPUTS[1]), "boxes are K×4"),
        ({}, (msgspec.structs.replace(OUTPUTS[0], shape=(4,)), OUTPUTS[1]), "boxes are K×4"),
        ({}, (msgspec.structs.replace(OUTPUTS[0], shape=(3, 4, 1)), OUTPUTS[1]), "boxes are K×4"),
        ({}, (OUTPUTS[0], msgspec.structs.replace(OUTPUTS[1], shape=(4, 2))), "scores are 3×2"),
        ({}, (OUTPUTS[0], msgspec.structs.replace(OUTPUTS[1], shape=(3, 1))), "scores are 3×2"),
    ],
)
def test_outputs_that_are_no_detectors_are_refused(change: dict, outputs: tuple, named: str) -> None:
    detect.check(ANSWER, OUTPUTS)
    with pytest.raises(ValueError, match=named):
        detect.check(msgspec.structs.replace(ANSWER, **change), outputs)


def test_boxes_that_the_answer_counts_are_compared() -> None:
    one = rows([[0, 0, 10, 10]], [[0.9, 0]])
    unsure = rows([[0, 0, 10, 10]], [[0.3, 0]])
    both = np.stack([unsure, one]), np.stack([one, one])
    assert detect.compare(*both).top1_agreement == pytest.approx(2 / 3)
    lenient = msgspec.structs.replace(ANSWER, detection=Detection(score_min=0.25))
    assert detect.compare(*both, lenient).top1_agreement == 1.0, "as the camera would find it"


@pytest.mark.parametrize("shapes", [((1, 3, 6), (1, 3, 5)), ((1, 3, 5), (1, 3, 6)), ((3, 6), (3, 6)), ((0, 3, 6), (0, 3, 6))])
def test_boxes_of_other_shapes_are_not_compared(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    ours, expected = (np.ones(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match="cannot compare boxes of shape"):
        detect.compare(ours, expected)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ([0, 0, 10, 20], 1.0),
        ([0, 0, 10, 10], 0.5),
        ([5, 0, 15, 20], 1 / 3),
        ([0, 15, 10, 35], 1 / 7),
        ([4, 8, 8, 12], 16 / 200),
        ([10, 0, 20, 20], 0.0),
        ([11, 21, 20, 40], 0.0),
    ],
)
def test_what_two_boxes_have_in_common(other: list[float], share: float) -> None:
    one = np.array([0, 0, 10, 20], np.float32)
    assert detect.overlap(one, np.array(other, np.float32)) == pytest.approx(share)
    assert detect.overlap(np.array(other, np.float32), one) == pytest.approx(share)


@pytest.mark.parametrize(("height", "same"), [(10, True), (9.9, False)])
def test_half_of_both_in_common_is_one_thing(height: float, same: bool) -> None:
    one, other = rows([[0, 0, 10, 20]], [[0.9, 0]]), rows([[0, 0, 10, height]], [[0.9, 0]])
    assert detect.compare(other[None], one[None]).top1_agreement == (1.0 if same else 0.0)


def test_boxes_of_other_labels_are_not_the_same_thing() -> None:
    jar, tin = rows([[0, 0, 10, 10]], [[0.9, 0]]), rows([[0, 0, 10, 10]], [[0, 0.9]])
    assert detect.compare(jar[None], tin[None]).top1_agreement == 0.0


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 4, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_boxes_that_count_are_sure_and_apart(values: list[tuple[float, ...]]) -> None:
    boxes, scores, classes = detect.kept(np.array(values, np.float32), Detection())
    assert (np.diff(scores) <= 0).all()
    assert (scores >= 0.5).all()
    for one in range(len(boxes)):
        for other in range(one):
            if classes[one] == classes[other]:
                assert detect.overlap(boxes[one], boxes[other]) <= 0.5 + 1e-3
