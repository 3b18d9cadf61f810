"""Lists on the command lines of the benchmarks."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.record import arguments
from edge.bundle.reader import open_bundle
from edge.errors import UsageError
from edge.models import DEFAULT_BUNDLE, bundle_directory


@given(st.lists(st.integers(1, 4), min_size=1))
def test_threads_are_kept_in_order_each_once(counts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
        assert arguments.parse_threads(",".join(map(str, counts))) == tuple(dict.fromkeys(counts))


@pytest.mark.parametrize("text", ["0", "1,99999", "one", "", "1,,2"])
def test_threads_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="--threads"):
        arguments.parse_threads(text)


def test_candidates_are_those_of_the_model() -> None:
    model = open_bundle(bundle_directory(DEFAULT_BUNDLE)).manifest.models[0]
    first, *_, last = model.candidates
    assert arguments.parse_candidates(model, f"{last.name}, {first.name}") == (last, first)
    with pytest.raises(UsageError, match="'onnx-int9'") as caught:
        arguments.parse_candidates(model, "onnx-int9")
    assert "onnx-int8" in str(caught.value.fix)
    with pytest.raises(UsageError, match="nothing is named"):
        arguments.parse_candidates(model, " , ")
