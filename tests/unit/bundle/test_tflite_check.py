"""What stands between a TFLite file and a runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bundle.tflite_check import check_tflite


@pytest.fixture
def content(third_party: Path) -> bytes:
    return (third_party / "vww_96_int8.tflite").read_bytes()


def test_whole_files_pass(third_party: Path) -> None:
    files = sorted(third_party.glob("*.tflite"))
    assert files
    for file in files:
        check_tflite(file.read_bytes())


def test_every_cut_is_seen(content: bytes) -> None:
    """Up to three bytes at the end are padding, which nothing reads."""
    lengths = [*range(0, 2000, 7), *range(2000, len(content), 4999), *range(len(content) - 300, len(content) - 3)]
    for length in lengths:
        with pytest.raises(ValueError, match="cut: bytes"):
            check_tflite(content[:length])
