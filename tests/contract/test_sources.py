"""One suite for every source: what the loop may rely on."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.data import Frame
from edge.sources import open_source
from edge.sources.arrays import ArrayFrames
from edge.sources.base import Source, SourceLimits
from edge.sources.files import ImageDirectory, ImageFile
from edge.sources.live import LiveSource
from edge.sources.synthetic import SyntheticCamera
from edge.sources.video import VideoFile
from tests.fakes import libcamera as fake_libcamera
from tests.fakes import picamera2 as fake_picamera2
from tests.fakes.debian_gi import make_importable
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import wait_until
from tests.fakes.rtsp import RED_VIDEO, RtspServer, why_not
from tests.fakes.v4l2 import FakeV4l2

SIZE_HW = (96, 128)
COUNT = 8
CAMERAS = {"rtsp", "http", "v4l2", "gstreamer", "picamera2"}
"""What looks at something real: it never ends by itself."""
LIVE = {"synthetic", *CAMERAS}
LIMITS = SourceLimits(timeout_ms=60_000, open_timeout_ms=60_000, read_timeout_ms=60_000)


def red(shade: int) -> np.ndarray:
    """A picture, RGB, so red that no codec can hide it."""
    picture = np.zeros((*SIZE_HW, 3), np.uint8)
    picture[..., 0] = shade
    return picture


def _image(tmp: Path) -> Source:
    assert cv2.imwrite(str(tmp / "red.png"), red(250)[..., ::-1])
    return ImageFile(tmp / "red.png")


def _directory(tmp: Path) -> Source:
    for index in range(COUNT):
        assert cv2.imwrite(str(tmp / f"{index}.png"), red(180 + 8 * index)[..., ::-1])
    return ImageDirectory(tmp)


def _video(tmp: Path, name: str, fourcc: str) -> Source:
    writer = cv2.VideoWriter(str(tmp / name), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), 10, SIZE_HW[::-1])
    assert writer.isOpened()
    for index in range(COUNT):
        writer.write(np.ascontiguousarray(red(180 + 8 * index)[..., ::-1]))
    writer.release()
    return VideoFile(tmp / name)


@pytest.fixture(scope="module")
def rtsp_url() -> Iterator[str]:
    if why_not():
        pytest.skip(why_not())
    with RtspServer(RED_VIDEO) as server:
        yield server.url


@pytest.fixture(scope="module")
def http_url() -> Iterator[str]:
    with MjpegServer(lambda index: red(180 + index % 70)) as server:
        yield server.url


@pytest.fixture
def gstreamer_url(tmp_path, monkeypatch) -> str:
    make_importable(tmp_path, monkeypatch)
    return f"gstreamer:{RED_VIDEO}"


@pytest.fixture
def picamera2_url(monkeypatch) -> str:
    monkeypatch.setitem(sys.modules, "picamera2", fake_picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", fake_libcamera)
    monkeypatch.setattr(fake_picamera2, "SENSORS", [fake_picamera2.Sensor(lambda index, _: red(180 + index % 70))])
    return f"picamera2:0,size={SIZE_HW[1]}x{SIZE_HW[0]}"


@pytest.fixture
def v4l2_url(tmp_path, monkeypatch) -> str:
    monkeypatch.setattr(cv2, "VideoCapture", FakeV4l2(lambda index: red(180 + index % 70)[..., ::-1]))
    (tmp_path / "video0").touch()
    return f"v4l2:{tmp_path}/video0,size={SIZE_HW[1]}x{SIZE_HW[0]},fps=100,fourcc=MJPG"


MAKERS: dict[str, Callable[[Path], Source]] = {
    "image": _image,
    "directory": _directory,
    "video-avi": lambda tmp: _video(tmp, "film.avi", "MJPG"),
    "video-mp4": lambda tmp: _video(tmp, "film.mp4", "mp4v"),
    "arrays": lambda tmp: ArrayFrames([red(180 + 8 * index) for index in range(COUNT)]),
    "synthetic": lambda tmp: SyntheticCamera(1, 200.0, SIZE_HW, frames=COUNT),
    "synthetic-on-demand": lambda tmp: SyntheticCamera(1, 0, SIZE_HW, frames=COUNT),
}


@pytest.fixture(params=[*MAKERS, *sorted(CAMERAS)])
def kind(request) -> str:
    return request.param


@pytest.fixture
def source(kind, tmp_path, request) -> Source:
    if kind in MAKERS:
        return MAKERS[kind](tmp_path)
    return open_source(request.getfixturevalue(f"{kind}_url"), timeout_ms=LIMITS.timeout_ms, limits=LIMITS)


def _frames(source: Source) -> Iterator[Frame]:
    return (tick for tick in source if isinstance(tick, Frame))


def frames_of(source: Source) -> list[Frame]:
    """All frames; of a camera, which never ends by itself, the first few."""
    frames: list[Frame] = []
    for tick in source:
        if isinstance(tick, Frame):
            frames.append(tick)
        if isinstance(source, LiveSource) and len(frames) == COUNT:
            source.stop()
    return frames


def test_frames_are_contiguous_uint8_rgb(kind, source):
    with source:
        frames = frames_of(source)
    assert frames
    for frame in frames:
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.shape == (*SIZE_HW, 3)
        assert frame.pixels.flags.c_contiguous
        if not frame.simulated:
            means = frame.pixels.reshape(-1, 3).mean(axis=0)
            assert means[0] > 150, "red is the first channel"
            assert means[1:].max() < 30


def test_a_frame_stays_as_it_was_when_the_next_one_comes(source):
    kept: list[tuple[Frame, np.ndarray]] = []
    with source:
        kept.extend((frame, frame.pixels.copy()) for frame in itertools.islice(_frames(source), COUNT))
    for frame, was in kept:
        np.testing.assert_array_equal(frame.pixels, was)
    for (one, _), (two, _) in itertools.combinations(kept, 2):
        assert not np.shares_memory(one.pixels, two.pixels)


def test_frames_count_up_and_their_times_run_forward_in_utc(kind, source):
    with source:
        frames = frames_of(source)
    seqs = [frame.seq for frame in frames]
    assert seqs == sorted(set(seqs))
    assert seqs == list(range(len(seqs))) or kind in LIVE
    for old, new in itertools.pairwise(frames):
        assert old.captured_mono_ns <= new.captured_mono_ns
        # drawn on demand, the scene's time may run ahead of the clock
        assert new.captured_mono_ns <= time.monotonic_ns() or kind == "synthetic-on-demand"
    for frame in frames:
        assert frame.captured_utc.utcoffset() == timedelta(0)
        assert isinstance(frame.clock_synced, bool)
        assert frame.simulated == source.simulated == kind.startswith("synthetic")


def test_all_is_delivered_or_counted(kind, source):
    with source:
        frames = frames_of(source)
    assert source.live == (kind in LIVE)
    assert source.skipped == 0
    if kind in CAMERAS:  # it went on after the last one that was taken
        assert frames[-1].seq + 1 <= len(frames) + source.dropped <= source._next_seq
    else:
        assert len(frames) + source.dropped == (1 if kind == "image" else COUNT)
    if not source.live:
        assert source.dropped == 0


@pytest.mark.parametrize("kind", sorted(CAMERAS))
def test_a_busy_loop_gets_the_newest_frame_of_a_camera_and_the_rest_is_counted(source):
    with source:
        ticks = _frames(source)
        first = next(ticks)
        before = source._slot.dropped  # before the first was taken, some may have passed
        wait_until(lambda: source._slot.dropped >= before + 3)
        second = next(ticks)
        assert second.seq - first.seq > 3
        assert source.dropped >= 3


@pytest.mark.parametrize("kind", ["synthetic"])
def test_a_slow_loop_gets_the_newest_frames_of_a_live_source_and_the_rest_is_counted(source):
    others = set(threading.enumerate())
    delivered = []
    with source:
        for tick in source:
            if isinstance(tick, Frame):
                delivered.append(tick.seq)
            for producer in set(threading.enumerate()) - others:
                producer.join()  # the loop is so slow that all other frames pass meanwhile
    assert source.dropped > 0
    assert len(delivered) + source.dropped == COUNT
    assert delivered[-1] == COUNT - 1


def test_stop_ends_it_after_the_current_tick(kind, source):
    with source:
        ticks = iter(source)
        next(ticks)
        source.stop()
        assert list(ticks) == []
        assert list(source) == []


def test_stop_before_the_first_tick_ends_it(source):
    source.stop()
    with source:
        assert list(source) == []


def test_stop_works_from_another_thread(source):
    with source:
        stopper = threading.Thread(target=source.stop)
        stopper.start()
        stopper.join()
        assert list(source) == []


def test_stop_works_from_a_signal_handler_in_the_middle_of_a_tick(source):
    before = signal.signal(signal.SIGALRM, lambda *_: source.stop())
    try:
        with source:
            ticks = iter(source)
            next(ticks)
            signal.raise_signal(signal.SIGALRM)
            assert list(ticks) == []
    finally:
        signal.signal(signal.SIGALRM, before)


def test_stop_wakes_a_loop_that_waits_for_a_live_source():
    with SyntheticCamera(0, 0.01, SIZE_HW, timeout_ms=60_000) as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        threading.Timer(0.02, source.stop).start()
        assert list(ticks) == []


def test_closing_twice_is_safe_and_nothing_comes_after(source):
    with source:
        next(iter(source))
    source.__exit__(None, None, None)
    source.stop()
    assert list(source) == []


def test_leaving_early_is_safe(source):
    def leave() -> None:
        with source:
            next(iter(source))
            raise KeyError

    with pytest.raises(KeyError):
        leave()
    assert list(source) == []


def test_a_second_pass_goes_on_where_the_first_ended(kind, source):
    with source:
        first = next(iter(source))
        rest = frames_of(source)
    assert isinstance(first, Frame)
    assert all(frame.seq > first.seq for frame in rest)


def test_iterating_before_opening_is_a_programming_error(source):
    with pytest.raises(RuntimeError, match="with block"):
        list(source)
