"""The bounds check that stands between a cut file and the classic runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.backends.tflite_cut import check_whole


@pytest.fixture
def content(third_party: Path) -> bytes:
    return (third_party / "vww_96_int8.tflite").read_bytes()


def test_whole_files_pass(third_party: Path) -> None:
    files = sorted(third_party.glob("*.tflite"))
    assert files
    for file in files:
        check_whole(file.read_bytes())


def test_every_cut_is_seen(content: bytes) -> None:
    """Up to three bytes at the end are padding, which nothing reads."""
    lengths = [*range(0, 2000, 7), *range(2000, len(content), 4999), *range(len(content) - 300, len(content) - 3)]
    for length in lengths:
        with pytest.raises(ValueError, match="cut: bytes"):
            check_whole(content[:length])
