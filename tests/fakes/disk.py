"""A disk without room."""

from __future__ import annotations

from pathlib import Path

import pytest


def fill(path: Path) -> None:
    """Take all the room that there is."""

    def write_for_ever() -> None:
        with path.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4_096))

    with pytest.raises(OSError, match="No space left"):
        write_for_ever()
