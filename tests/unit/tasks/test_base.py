"""What the tasks share: stored numbers and label lists."""

from __future__ import annotations

import numpy as np

from edge.manifest import OutputSpec, Quantization
from edge.tasks.base import dequantized, first_indices


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
