"""A file of the user, which no file of a stranger may change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

CANARY = b"a file of the user\n" * 300


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Its path; after the test it must hold what it held."""
    path = tmp_path / "canary"
    path.write_bytes(CANARY)
    yield path
    assert path.read_bytes() == CANARY
