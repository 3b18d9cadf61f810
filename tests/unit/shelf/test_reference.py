"""The picture of the emptied shelf: how it is made, kept and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError, DataError
from edge.shelf.reference import FILE_NAME, Reference, from_frames, load, save

HW = (6, 8)


def flat(level: int, hw: tuple[int, int] = HW) -> np.ndarray:
    return np.full((*hw, 3), level, np.uint8)


def test_the_middle_of_five_frames_shows_nobody_who_walked_through() -> None:
    frames = [flat(level) for level in (98, 99, 100, 101, 102)]
    frames[0][:, :4], frames[4][:, :5] = 255, 0
    made = from_frames(frames)
    assert made.pixels.dtype == np.uint8
    assert made.pixels.shape == (*HW, 3)
    assert abs(made.pixels.astype(int) - 100).max() <= 1


def test_of_six_frames_it_is_rounded() -> None:
    assert from_frames([flat(level) for level in (1, 1, 1, 2, 9, 9)]).pixels.max() == 2, "1.5 is 2, not cut to 1"


@pytest.mark.parametrize("frames", [[flat(1)] * 4, [], [flat(1)] * 5 + [flat(1, (8, 6))]])
def test_few_frames_or_frames_of_several_sizes_make_none(frames: list[np.ndarray]) -> None:
    with pytest.raises(DataError, match=f"a reference needs 5 frames of one size, not {len(frames)}"):
        from_frames(frames)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (*HW, 3), dtype=np.uint8)
    assert save(tmp_path, Reference(pixels)) == tmp_path / FILE_NAME
    loaded = load(tmp_path, HW)
    assert loaded is not None
    np.testing.assert_array_equal(loaded.pixels, pixels)


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, HW) is None
    assert load(tmp_path / "nowhere", HW) is None


@pytest.mark.parametrize("hw", [(6, 9), (7, 8), (8, 6)])
def test_one_of_another_camera_is_refused(tmp_path: Path, hw: tuple[int, int]) -> None:
    save(tmp_path, Reference(flat(1)))
    with pytest.raises(ConfigError, match=f"is of 8×6 pixels, the camera gives {hw[1]}×{hw[0]}"):
        load(tmp_path, hw)


def test_what_is_no_file_or_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no picture")
    with pytest.raises(DataError):
        load(tmp_path, HW)
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(DataError, match=f"{FILE_NAME}: ") as caught:
        load(tmp_path, HW)
    assert "shelfcam reference" in (caught.value.fix or "")
