"""Which candidates a request means, and what a manifest says of their inputs."""

from __future__ import annotations

import numpy as np
import pytest

from edge.data import Region
from edge.errors import UsageError
from edge.preprocess import preprocess
from export.candidates import PLANS, choose, input_spec

PIXELS = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)


def test_without_names_there_are_the_five_that_everybody_needs() -> None:
    names = [plan.name for plan in choose(())]
    assert names == ["onnx-fp32", "onnx-int8", "onnx-int8-fast", "tflite-fp32", "tflite-int8"]


def test_all_means_all() -> None:
    assert choose(["all"]) == choose(["all", "onnx-fp32"]) == PLANS
    assert len({plan.name for plan in PLANS}) == len(PLANS)


def test_names_keep_the_order_of_the_plans_and_a_wrong_one_is_told_its_neighbours() -> None:
    assert [plan.name for plan in choose(["tflite-fp16", "onnx-fp16"])] == ["onnx-fp16", "tflite-fp16"]
    with pytest.raises(UsageError, match="tflite-in8") as caught:
        choose(["tflite-in8"])
    assert "tflite-int8" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", PIXELS), ("int8", PIXELS.astype(int) - 128), ("float32", (PIXELS.astype(np.float32) - 127) / 128)],
)
def test_each_input_is_the_pixel_in_another_dtype(dtype, expected) -> None:
    fed = preprocess([Region("slot", PIXELS)], input_spec((16, 16), "tflite", dtype=dtype))
    assert fed.dtype == dtype
    np.testing.assert_array_equal(fed[0], expected)


def test_the_fit_is_the_networks() -> None:
    assert input_spec((16, 16), "onnx", "stretch").resize.fit == "stretch"
