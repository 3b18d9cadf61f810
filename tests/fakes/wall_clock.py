"""A wall clock that a test moves under a running process: libfaketime between it and the kernel. The monotonic clock is left alone."""

from __future__ import annotations

from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


def library() -> Path | None:
    """Of the Debian package libfaketime; None where it is not installed."""
    return next((found for place in _PLACES for found in Path("/").glob(place[1:])), None)


class WallClock:
    """``env``: for the process."""

    def __init__(self, folder: Path) -> None:
        found = library()
        assert found is not None  # the caller looked
        self._file = folder / "faketime"
        self.jump(0)
        self.env = {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """From now on the process's wall clock is so far from this machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)
