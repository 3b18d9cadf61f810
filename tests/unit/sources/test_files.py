"""Pictures and videos from disk, and frames from memory."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason
from edge.errors import DataError, InputMissingError
from edge.sources.arrays import ArrayFrames
from edge.sources.files import ImageDirectory, ImageFile
from edge.sources.video import VideoFile


def write_png(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((8, 8, 3), value, np.uint8))
    return path


def write_video(path: Path, fourcc: str, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), 10, (64, 48))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    return path


def test_an_image_is_one_frame_named_after_its_file(tmp_path):
    file = write_png(tmp_path / "one.png", 7)
    with ImageFile(file) as source:
        (tick,) = source
    assert isinstance(tick, Frame)
    assert tick.name == str(file)
    assert (tick.pixels == 7).all()


def test_a_missing_or_broken_image_is_told_at_opening(tmp_path):
    with pytest.raises(InputMissingError, match=r"none\.png"), ImageFile(tmp_path / "none.png"):
        pass
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match=r"broken\.png"), ImageFile(broken):
        pass


def test_a_directory_is_read_in_order_and_a_corrupt_picture_is_reported_counted_and_skipped(tmp_path):
    write_png(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes(b"no picture")
    write_png(tmp_path / "deep" / "c.png", 3)
    with ImageDirectory(tmp_path) as source:
        first, corrupt, last = source
    assert isinstance(first, Frame)
    assert isinstance(last, Frame)
    assert (first.seq, last.seq) == (0, 1)
    assert (first.pixels[0, 0, 0], last.pixels[0, 0, 0]) == (1, 3)
    assert isinstance(corrupt, NoFrame)
    assert corrupt.reason is NoFrameReason.CORRUPT
    assert "b.png" in corrupt.detail
    assert source.skipped == 1


def test_a_file_that_vanishes_is_skipped_too(tmp_path):
    write_png(tmp_path / "a.png", 1)
    gone = write_png(tmp_path / "b.png", 2)
    with ImageDirectory(tmp_path) as source:
        gone.unlink()
        kinds = [type(tick) for tick in source]
    assert kinds == [Frame, NoFrame]


def test_an_empty_or_missing_directory_is_told_at_opening(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputMissingError, match=str(path)), ImageDirectory(path):
            pass


@pytest.mark.parametrize(("name", "fourcc"), [("film.avi", "MJPG"), ("film.mp4", "mp4v")])
def test_a_video_delivers_every_frame_and_names_it(tmp_path, name, fourcc):
    file = write_video(tmp_path / name, fourcc, 12)
    with VideoFile(file) as source:
        ticks = list(source)
    assert [tick.name for tick in ticks] == [f"{file}#{index}" for index in range(12)]
    means = [tick.pixels.mean() for tick in ticks]
    np.testing.assert_allclose(means, np.arange(12) * 20, atol=6)


def test_what_is_no_video_is_refused(tmp_path):
    with pytest.raises(InputMissingError, match=r"none\.mp4"), VideoFile(tmp_path / "none.mp4"):
        pass
    with pytest.raises(InputMissingError), VideoFile(tmp_path):
        pass
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    with pytest.raises(DataError, match=r"text\.mp4"), VideoFile(text) as source:
        list(source)


def test_a_video_without_its_index_is_refused(tmp_path):
    file = write_video(tmp_path / "film.mp4", "mp4v", 12)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])  # mp4 keeps its index at the end
    with pytest.raises(DataError, match=r"film\.mp4"), VideoFile(file) as source:
        list(source)


def test_frames_from_memory_cycle_without_a_copy():
    pictures = [np.full((4, 4, 3), value, np.uint8) for value in range(3)]
    with ArrayFrames(pictures, 7) as source:
        ticks = list(source)
    assert [tick.seq for tick in ticks] == list(range(7))
    assert all(tick.pixels is pictures[index % 3] for index, tick in enumerate(ticks))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [np.zeros((4, 4), np.uint8)],
        [np.zeros((4, 4, 3), np.float32)],
        [np.zeros((4, 8, 3), np.uint8)[:, ::2]],
        [np.zeros((4, 4, 4), np.uint8)],
    ],
)
def test_memory_takes_only_what_a_frame_may_be(frames):
    with pytest.raises(ValueError, match="frames"):
        ArrayFrames(frames)


def test_what_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((30, 50, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DataError, match=r"large\.png: 50×30 pixels"), ImageFile(tmp_path / "large.png", max_pixels=1_000):
        pass
    with ImageDirectory(tmp_path, max_pixels=1_000) as source:
        large, small = source
    assert isinstance(large, NoFrame)
    assert "large.png: 50×30 pixels are too many" in large.detail
    assert isinstance(small, Frame)


def test_a_video_of_too_large_frames_is_not_decoded(tmp_path: Path) -> None:
    file = tmp_path / "large.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with pytest.raises(DataError, match=r"large\.avi: 64×48 pixels are too many"), VideoFile(file, max_pixels=3_000):
        pass
    with VideoFile(file, max_pixels=3_072) as source:
        assert len(list(source)) == 3
