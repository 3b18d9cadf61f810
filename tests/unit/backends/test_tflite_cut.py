"""The bounds check that stands between a cut file and the classic runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.backends.tflite_cut import check_whole


@pytest.fixture
def content(shared_data: Path) -> bytes:
    path = shared_data / "thirdparty" / "vww_96_int8.tflite"
    if not path.is_file():
        pytest.skip(f"the third-party model is absent: {path}")
    return path.read_bytes()


def test_whole_files_pass(shared_data: Path) -> None:
    files = sorted((shared_data / "thirdparty").glob("*.tflite"))
    if not files:
        pytest.skip("the third-party models are absent")
    for file in files:
        check_whole(file.read_bytes())


def test_every_cut_is_seen(content: bytes) -> None:
    """Up to three bytes at the end are padding, which nothing reads."""
    lengths = [*range(0, 2000, 7), *range(2000, len(content), 4999), *range(len(content) - 300, len(content) - 3)]
    for length in lengths:
        with pytest.raises(ValueError, match="cut: bytes"):
            check_whole(content[:length])
