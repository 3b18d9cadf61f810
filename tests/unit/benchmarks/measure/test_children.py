"""Modules that run as children: why they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure.children import TooSlowError, last_words, run_child
from benchmarks.measure.timing import Timing
from edge.errors import BackendError
from tests.fakes.patience import patience_s


def test_a_process_that_takes_too_long_is_told_from_one_that_fails() -> None:
    """Real children."""
    with pytest.raises(TooSlowError, match="longer"):
        run_child("benchmarks.measure.timing", [], Timing, timeout_s=0.01)
    with pytest.raises(BackendError, match="IndexError") as caught:
        run_child("benchmarks.measure.timing", [], Timing, timeout_s=patience_s())
    assert not isinstance(caught.value, TooSlowError)


def test_last_words_of_a_child() -> None:
    assert last_words(1, "Traceback (most recent call last):\n  x\nMemoryError: no room\n\n") == "MemoryError: no room"
    assert last_words(-9, "INFO: a delegate was made\n") == "killed, perhaps because memory ran out"
    assert last_words(1, "\n") == ""


def test_a_child_that_fails_says_why(colour_bundle: Path) -> None:
    from benchmarks.measure.children import run_child
    from benchmarks.measure.share import ShareResult

    arguments = [str(colour_bundle), "colour", "nothing", "1", "1", "0.01"]
    with pytest.raises(BackendError, match="has no candidate 'nothing'"):
        run_child("benchmarks.measure.share", arguments, ShareResult, timeout_s=patience_s())
