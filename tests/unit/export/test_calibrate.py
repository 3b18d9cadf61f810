"""Which pictures calibrate and which judge."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from edge.data import Region
from edge.errors import DataError, InputMissingError
from edge.evaluate import Sample
from edge.images import read_rgb
from edge.preprocess import preprocess

pytest.importorskip("onnx")

from export.candidates import input_spec
from export.convert.calibrate import MIN_IMAGES, Folders, SplitCounts, from_directory, from_skimage

SPEC = input_spec((32, 32), "onnx")
WANTED = SplitCounts(calibration=40, held_out=40, seed=0)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(90):
        cv2.imwrite(str(folder / f"{number:03}.png"), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    return folder


def read_as_model(path):
    return preprocess([Region("x", read_rgb(path))], SPEC)[0]


def rows(samples):
    return {image.tobytes() for image in samples.images}


def test_the_sides_never_overlap_and_every_run_gives_the_same(photos):
    first, again = (from_directory(Folders(photos), SPEC, WANTED, pytest.fail) for _ in range(2))
    assert not rows(first.calibration) & rows(first.held_out)
    assert first.calibration.sha256 == again.calibration.sha256
    assert first.calibration.images.shape == (40, 32, 32, 3)
    assert first.calibration.images.dtype == np.uint8
    assert len(first.held_out.images) >= MIN_IMAGES


def test_another_seed_takes_other_photos_but_never_across_the_split(photos):
    first = from_directory(Folders(photos), SPEC, WANTED, pytest.fail)
    other = from_directory(Folders(photos), SPEC, SplitCounts(40, 40, seed=1), pytest.fail)
    assert first.calibration.sha256 != other.calibration.sha256
    assert not rows(first.calibration) & rows(other.held_out)


def test_copies_are_used_once(photos):
    told = []
    for number in range(90):
        shutil.copy(photos / f"{number:03}.png", photos / f"copy{number:03}.png")
    split = from_directory(Folders(photos), SPEC, SplitCounts(200, 200, 0), told.append)
    assert len(told) == 90
    assert len(split.calibration.images) + len(split.held_out.images) == 90


def test_a_picture_that_judges_does_not_calibrate(photos, tmp_path):
    other, told = tmp_path / "other", []
    other.mkdir()
    for number in range(30):
        shutil.copy(photos / f"{number:03}.png", other / f"renamed{number}.png")
    split = from_directory(Folders(photos, other), SPEC, SplitCounts(100, 100, 0), told.append)
    assert (len(split.held_out.images), len(split.calibration.images)) == (30, 60)
    assert not rows(split.calibration) & rows(split.held_out)
    assert sum("copy of a picture that judges" in reason for reason in told) == 30


def test_nothing_calibrates_where_everything_judges(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "other")
    with pytest.raises(DataError, match=r"photos: calibration: 0 pictures"):
        from_directory(Folders(photos, tmp_path / "other"), SPEC, SplitCounts(100, 100, 0), lambda _: None)


def test_lists_say_which_pictures_and_which_class(photos):
    listed = tuple(Sample(f"{number:03}.png", number % 3) for number in range(40))
    paths = tuple(f"{number:03}.png" for number in range(30, 80))
    folders = Folders(photos, photos, paths, listed)
    split = from_directory(folders, SPEC, SplitCounts(100, 100, 0), lambda _: None)
    assert len(split.held_out.images) == len(split.held_out.truth) == 40
    assert len(split.calibration.images) == 40, "30 to 39 judge"
    by_pixels = {read_as_model(photos / path).tobytes(): label for path, label in ((s.path, s.label) for s in listed)}
    for image, label in zip(split.held_out.images, split.held_out.truth, strict=True):
        assert by_pixels[image.tobytes()] == label
    fewer = from_directory(folders, SPEC, SplitCounts(100, 20, 0), lambda _: None)
    assert len(fewer.held_out.images) == len(fewer.held_out.truth) == 20


def test_an_unreadable_picture_of_a_list_takes_its_label_with_it(photos):
    (photos / "003.png").write_bytes(b"no picture")
    (photos / "004.png").unlink()
    told = []
    listed = tuple(Sample(f"{number:03}.png", number) for number in range(40))
    split = from_directory(Folders(photos, photos, None, listed), SPEC, SplitCounts(100, 100, 0), told.append)
    assert sorted(split.held_out.truth) == [n for n in range(40) if n not in (3, 4)]
    assert split.skipped == 3, "two of the list, and the broken one again among all"


@pytest.mark.parametrize("level", ["flat", "same"])
def test_pictures_that_are_all_alike_are_told(photos, level):
    rng = np.random.default_rng(1)
    picture = np.full((40, 50, 3), 90, np.uint8) if level == "flat" else rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for number, path in enumerate(sorted(photos.iterdir())):
        changed = picture.copy()
        changed[0, 0] = number  # another file, the same picture
        cv2.imwrite(str(path), changed)
    told = []
    from_directory(Folders(photos), SPEC, WANTED, told.append)
    assert any("nearly) the same" in reason for reason in told)


def test_broken_pictures_are_told_and_counted(photos):
    told = []
    for number in range(5):
        (photos / f"{number:03}.png").write_bytes(b"no picture")
    split = from_directory(Folders(photos), SPEC, SplitCounts(200, 200, 0), told.append)
    assert split.skipped == 5
    assert sum("cannot be decoded" in reason for reason in told) == 5


def test_too_few_photos(photos):
    for path in sorted(photos.iterdir())[10:]:
        path.unlink()
    with pytest.raises(DataError, match=r"photos: calibration: \d+ pictures can be used, at least 16"):
        from_directory(Folders(photos), SPEC, WANTED, pytest.fail)


def test_too_few_are_left_when_most_are_broken(photos):
    for path in sorted(photos.iterdir())[15:]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="at least 16 are needed"):
        from_directory(Folders(photos), SPEC, WANTED, lambda _: None)


def test_empty_and_missing_directories(tmp_path):
    with pytest.raises(InputMissingError, match="no such directory"):
        from_directory(Folders(tmp_path / "none"), SPEC, WANTED, pytest.fail)
    with pytest.raises(InputMissingError, match="no pictures"):
        from_directory(Folders(tmp_path), SPEC, WANTED, pytest.fail)


def test_skimage_crops_are_repeatable_and_leave_numpys_global_state_alone():
    pytest.importorskip("skimage")
    before = np.random.get_state()[1].copy()
    first, again = (from_skimage(SPEC, SplitCounts(20, 20, 5)) for _ in range(2))
    assert first.calibration.sha256 == again.calibration.sha256
    assert len(first.calibration.images) == 40  # 20 crops and 20 drawn scenes
    assert not rows(first.calibration) & rows(first.held_out)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
