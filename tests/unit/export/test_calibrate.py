"""Which pictures calibrate and which judge."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from edge.errors import DataError, InputMissingError

pytest.importorskip("onnx")

from export.candidates import input_spec
from export.convert.calibrate import MIN_IMAGES, Wanted, from_directory, from_skimage

SPEC = input_spec((32, 32), "onnx")
WANTED = Wanted(calibration=40, held_out=40, seed=0)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(90):
        cv2.imwrite(str(folder / f"{number:03}.png"), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    return folder


def rows(samples):
    return {image.tobytes() for image in samples.images}


def test_the_sides_never_overlap_and_every_run_gives_the_same(photos):
    first, again = (from_directory(photos, None, SPEC, WANTED, pytest.fail) for _ in range(2))
    assert not rows(first.calibration) & rows(first.held_out)
    assert first.calibration.sha256 == again.calibration.sha256
    assert first.calibration.images.shape == (40, 32, 32, 3)
    assert first.calibration.images.dtype == np.uint8
    assert len(first.held_out.images) >= MIN_IMAGES


def test_another_seed_takes_other_photos_but_never_across_the_split(photos):
    first = from_directory(photos, None, SPEC, WANTED, pytest.fail)
    other = from_directory(photos, None, SPEC, Wanted(40, 40, seed=1), pytest.fail)
    assert first.calibration.sha256 != other.calibration.sha256
    assert not rows(first.calibration) & rows(other.held_out)


def test_copies_are_used_once(photos):
    told = []
    for number in range(90):
        shutil.copy(photos / f"{number:03}.png", photos / f"copy{number:03}.png")
    split = from_directory(photos, None, SPEC, Wanted(200, 200, 0), told.append)
    assert len(told) == 90
    assert len(split.calibration.images) + len(split.held_out.images) == 90


def test_copies_in_the_held_out_directory_are_left_out(photos, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    with pytest.raises(DataError, match=r"other: judging: 0 pictures"):
        from_directory(photos, other, SPEC, Wanted(100, 100, 0), lambda _: None)


def test_broken_pictures_are_told_and_counted(photos):
    told = []
    for number in range(5):
        (photos / f"{number:03}.png").write_bytes(b"no picture")
    split = from_directory(photos, None, SPEC, Wanted(200, 200, 0), told.append)
    assert split.skipped == 5
    assert sum("cannot be decoded" in reason for reason in told) == 5


def test_too_few_photos(photos):
    for path in sorted(photos.iterdir())[10:]:
        path.unlink()
    with pytest.raises(DataError, match=r"photos: calibration: \d+ pictures can be used, at least 16"):
        from_directory(photos, None, SPEC, WANTED, pytest.fail)


def test_too_few_are_left_when_most_are_broken(photos):
    for path in sorted(photos.iterdir())[15:]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="at least 16 are needed"):
        from_directory(photos, None, SPEC, WANTED, lambda _: None)


def test_empty_and_missing_directories(tmp_path):
    with pytest.raises(InputMissingError, match="no such directory"):
        from_directory(tmp_path / "none", None, SPEC, WANTED, pytest.fail)
    with pytest.raises(InputMissingError, match="no pictures"):
        from_directory(tmp_path, None, SPEC, WANTED, pytest.fail)


def test_skimage_crops_are_repeatable_and_leave_numpys_global_state_alone():
    pytest.importorskip("skimage")
    before = np.random.get_state()[1].copy()
    first, again = (from_skimage(SPEC, Wanted(20, 20, 5)) for _ in range(2))
    assert first.calibration.sha256 == again.calibration.sha256
    assert len(first.calibration.images) == 40  # 20 crops and 20 drawn scenes
    assert not rows(first.calibration) & rows(first.held_out)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
