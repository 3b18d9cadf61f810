"""USB cameras: what is asked of the driver, and what is said when it cannot. There is no camera here: OpenCV's capture is a fake."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from edge.data import Frame
from edge.errors import ConfigError, SourceError
from edge.sources import open_source
from edge.sources.base import SourceLimits
from tests.fakes.v4l2 import FakeV4l2

PATIENT = SourceLimits(open_timeout_ms=60_000)


def picture(index: int) -> np.ndarray:
    bgr = np.zeros((96, 128, 3), np.uint8)
    bgr[..., 2] = 200 + index % 50
    return bgr


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    return path


def opened(uri: str):
    return open_source(uri, timeout_ms=60_000, limits=PATIENT)


def plug_in(monkeypatch, camera: FakeV4l2) -> FakeV4l2:
    monkeypatch.setattr(cv2, "VideoCapture", camera)
    return camera


def test_options_reach_the_driver_with_the_format_first(monkeypatch, device):
    camera = plug_in(monkeypatch, FakeV4l2(picture))
    with opened(f"v4l2:{device},size=128x96,fps=15,fourcc=mjpg") as source:
        frame = next(iter(source))
    assert isinstance(frame, Frame)
    assert frame.pixels[0, 0, 0] >= 200, "red is the first channel"
    assert frame.pixels[0, 0, 2] == 0
    assert camera.opened == [(str(device), cv2.CAP_V4L2)]
    assert camera.calls[:4] == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 128),
        (cv2.CAP_PROP_FRAME_HEIGHT, 96),
        (cv2.CAP_PROP_FPS, 15.0),
    ]
    assert camera.released == 1


@pytest.mark.parametrize(
    ("text", "path"), [("", "/dev/video0"), ("0", "/dev/video0"), ("12", "/dev/video12"), ("/dev/x", "/dev/x")]
)
def test_a_number_is_a_device_file(text, path):
    assert str(opened(f"v4l2:{text}")._path) == path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("size=1x1", "'size' must be WIDTHxHEIGHT"),
        ("fps=0", "'fps' must be"),
        ("fourcc=MJPEG", "'fourcc' must be four letters"),
        ("forcc=MJPG", "unknown option 'forcc'"),
    ],
)
def test_a_wrong_option_is_a_wrong_configuration(options, words):
    with pytest.raises(ConfigError, match=words) as caught:
        opened(f"v4l2:0,{options}")
    if "unknown" in words:
        assert "did you mean 'fourcc'?" in caught.value.fix


def test_a_device_that_is_not_there_is_said_with_the_command_that_lists_them():
    with pytest.raises(SourceError, match="v4l2:/dev/video97: no such device") as caught:
        opened("v4l2:97").__enter__()
    assert "shelfcam cameras" in caught.value.fix
    with pytest.raises(SourceError, match="no such device"):
        opened("v4l2:/dev/\0").__enter__()


def test_a_file_that_is_no_camera_is_said_by_the_real_opencv(device):
    with pytest.raises(SourceError, match="is no camera, or another process has it open"):
        opened(f"v4l2:{device}").__enter__()


def test_a_device_of_somebody_else_is_said(device, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != device)  # root may open everything
    with pytest.raises(SourceError, match="may not be opened") as caught:
        opened(f"v4l2:{device}").__enter__()
    assert "group video" in caught.value.fix


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("size=1000x700", "has not the size 1000x700; it offers 1280x720"),
        ("fourcc=H264", "has not the format H264; it offers YUYV"),
    ],
)
def test_what_the_camera_has_not_is_an_error_with_what_it_has(monkeypatch, device, options, words):
    camera = plug_in(monkeypatch, FakeV4l2(picture))
    with pytest.raises(SourceError, match=words) as caught:
        opened(f"v4l2:{device},{options}").__enter__()
    assert "v4l2-ctl" in caught.value.fix
    assert camera.released == 1


def test_a_driver_that_delivers_another_size_than_it_said_is_an_error(monkeypatch, device):
    plug_in(monkeypatch, FakeV4l2(picture))
    with opened(f"v4l2:{device},size=640x480") as source, pytest.raises(SourceError, match="128×96 pixels instead of 640×480"):
        list(source)


def test_a_grey_or_16_bit_picture_is_an_error_in_words(monkeypatch, device):
    for wrong, words in (
        (np.zeros((96, 128), np.uint8), "96×128 uint8"),
        (np.zeros((96, 128, 3), np.uint16), "96×128×3 uint16"),
    ):
        plug_in(monkeypatch, FakeV4l2(lambda _, wrong=wrong: wrong))
        with opened(f"v4l2:{device}") as source, pytest.raises(SourceError, match=words):
            list(source)


def test_a_broken_picture_now_and_then_is_passed_over_and_nothing_but_broken_ones_is_an_error(monkeypatch, device):
    plug_in(monkeypatch, FakeV4l2(lambda index: None if index % 2 else picture(index)))
    with opened(f"v4l2:{device}") as source:
        for tick in source:
            assert isinstance(tick, Frame)
            if tick.seq > 60:
                break
    plug_in(monkeypatch, FakeV4l2(lambda _: None, period_s=0.001))
    with opened(f"v4l2:{device}") as source, pytest.raises(SourceError, match="50 pictures in a row"):
        list(source)


def test_an_unplugged_camera_is_an_error(monkeypatch, device):
    camera = plug_in(monkeypatch, FakeV4l2(picture))
    with opened(f"v4l2:{device}") as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        camera.gone.set()
        with pytest.raises(SourceError, match="delivers nothing any more"):
            list(ticks)
        device.unlink()
    with pytest.raises(SourceError, match="no such device"):
        opened(f"v4l2:{device}").__enter__()


def test_a_camera_that_vanishes_with_its_file_was_unplugged(monkeypatch, device):
    camera = plug_in(monkeypatch, FakeV4l2(picture))
    with opened(f"v4l2:{device}") as source:
        device.unlink()
        camera.gone.set()
        with pytest.raises(SourceError, match="was unplugged"):
            list(source)
    assert camera.released == 1
