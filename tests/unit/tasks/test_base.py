"""What the tasks share: stored numbers and label lists."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge.data import Classes, Region, Score
from edge.manifest import Detection, OutputSpec, Quantization
from edge.tasks.base import SeveralAnswers, dequantized, first_indices, only
from tests.fakes.candidates import answer_of


class Says:
    """A decoder that adds what it read; ``rows``: of what it was given."""

    def __init__(self, name: str) -> None:
        self.name, self.rows = name, []

    def decode(self, raw, regions):
        self.rows = raw[0].tolist()
        assert len(raw[0]) == len(regions)
        return [
            replace(region, answers=(*region.answers, Classes(self.name, (Score(str(row), 0, 1.0),))))
            for region, row in zip(regions, raw[0].tolist(), strict=True)
        ]


def several(*wants: tuple[str, ...] | None) -> tuple[list[list[tuple[str, str]]], list[list[int]]]:
    """What each region is told, (answer, label), and the rows that each of the decoders "kind" and "looks" was asked for."""
    kind, looks = Says("kind"), Says("looks")
    regions = [
        Region(f"S{i}", np.zeros((1, 1, 3), np.uint8), wants=None if want is None else frozenset(want))
        for i, want in enumerate(wants)
    ]
    decoder = SeveralAnswers({"kind": kind, "looks": looks})
    seen = decoder.decode((np.arange(len(wants)),), regions)
    assert [region.slot for region in seen] == [region.slot for region in regions]
    return [[(answer.answer, answer.top[0].label) for answer in region.answers] for region in seen], [kind.rows, looks.rows]


def test_each_region_gets_all_answers_or_those_that_it_wants() -> None:
    told, rows = several(None, ("looks",), ("kind", "looks"), ())
    assert told == [[("kind", "0"), ("looks", "0")], [("looks", "1")], [("kind", "2"), ("looks", "2")], []]
    assert rows == [[0, 2], [0, 1, 2]]


def test_an_answer_that_nobody_wants_is_not_read_and_one_that_all_want_is_read_whole() -> None:
    assert several(("looks",), ("looks",))[1] == [[], [0, 1]]


def test_a_decoder_that_loses_a_region_is_an_error() -> None:
    class Loses(Says):
        def decode(self, raw, regions):
            return super().decode(raw, regions)[:-1]

    decoder = SeveralAnswers({"kind": Loses("kind")})
    with pytest.raises(ValueError, match="shorter"):
        decoder.decode((np.arange(2),), [Region("A", np.zeros((1, 1, 3), np.uint8))] * 2)


def test_a_task_of_one_output_has_one_and_it_means_what_it_must() -> None:
    logits, vector = (OutputSpec(name=name, shape=(3,), dtype="float32", meaning=name) for name in ("logits", "embedding"))
    answer = answer_of("classify")
    assert only(answer, [logits], ("softmax", "logits")) is logits
    for outputs in ([], [logits, logits]):
        with pytest.raises(ValueError, match=f"it reads 1 output, not {len(outputs)}"):
            only(answer, outputs, ("logits",))
    with pytest.raises(ValueError, match="output embedding means 'embedding', not 'logits' or 'softmax'"):
        only(answer, [vector], ("logits", "softmax"))
    with pytest.raises(ValueError, match="detection: only a detector has it"):
        only(msgspec.structs.replace(answer, detection=Detection()), [logits], ("logits",))


def test_of_two_classes_of_one_name_the_first_counts() -> None:
    assert first_indices(["crane", "kite", "crane", "owl"]) == {"crane": 0, "kite": 1, "owl": 3}


def test_stored_numbers_become_real_ones_row_by_row() -> None:
    output = OutputSpec(
        name="o", shape=(3,), dtype="int8", meaning="logits", quantization=Quantization(scale=0.5, zero_point=-2)
    )
    found = dequantized(np.array([[[-128], [-2], [127]], [[0], [2], [-4]]], np.int8), output)
    assert (found.dtype, found.tolist()) == (np.float32, [[-63.0, 0.0, 64.5], [1.0, 2.0, -1.0]])


def test_floats_are_taken_as_they_are() -> None:
    output = OutputSpec(name="o", shape=(2,), dtype="float32", meaning="logits")
    assert dequantized(np.array([[[1.5, -2.0]]], np.float32), output).tolist() == [[1.5, -2.0]]
