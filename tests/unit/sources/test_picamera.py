"""CSI cameras on the Pi, against a fake of picamera2; and what is said where the package is not there at all."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
import time

import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason
from edge.errors import ConfigError, SourceError
from edge.sources import open_source
from edge.sources.base import SourceLimits
from tests.fakes import libcamera as fake_libcamera
from tests.fakes import picamera2 as fake_picamera2
from tests.fakes.patience import patience_s

PATIENT = SourceLimits(open_timeout_ms=60_000)
SIZE = "size=90x64"  # 270 bytes a row, padded to 320


def corners(index: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Grey, with a red upper left and a blue lower right corner."""
    rgb = np.full((*size_hw, 3), 100 + index % 100, np.uint8)
    rgb[:16, :16] = (250, 10, 20)
    rgb[-16:, -16:] = (20, 10, 250)
    return rgb


@pytest.fixture
def sensor(monkeypatch) -> fake_picamera2.Sensor:
    monkeypatch.setitem(sys.modules, "picamera2", fake_picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", fake_libcamera)
    sensor = fake_picamera2.Sensor(corners)
    monkeypatch.setattr(fake_picamera2, "SENSORS", [sensor])
    return sensor


def opened(text: str, *, timeout_ms: int = 60_000, limits: SourceLimits = PATIENT):
    return open_source(f"picamera2:{text}", timeout_ms=timeout_ms, limits=limits)


def first_frame(source) -> Frame:
    return next(tick for tick in source if isinstance(tick, Frame))


def test_frames_are_rgb_and_without_the_padding_of_their_rows(sensor):
    with opened(f"0,{SIZE}") as source:
        frame = first_frame(source)
        assert sensor.cameras[0].camera_config["main"]["stride"] == 320
    assert frame.pixels.shape == (64, 90, 3)
    assert frame.pixels.flags.owndata
    assert frame.pixels[5, 5].tolist() == [250, 10, 20]
    assert frame.pixels[-5, -5].tolist() == [20, 10, 250]


def test_rotate_turns_the_picture_in_the_camera(sensor):
    with opened(f"0,{SIZE},rotate=180") as source:
        frame = first_frame(source)
    assert frame.pixels[-5, -5].tolist() == [250, 10, 20]
    assert frame.pixels[5, 5].tolist() == [20, 10, 250]


def test_options_and_controls_reach_the_camera(sensor):
    with opened("0,size=640x480,fps=12.5,ExposureTime=8000,AnalogueGain=2.5,ColourGains=1.8/1.5,AeEnable=false") as source:
        first_frame(source)
        camera = sensor.cameras[0]
        config = camera.camera_configuration()
        assert config["main"]["size"] == (640, 480)
        assert config["main"]["format"] == "RGB888"
        assert config["raw"] is None
        assert camera.applied_controls == {
            "NoiseReductionMode": 1,
            "FrameDurationLimits": (80_000, 80_000),
            "ExposureTime": 8000,
            "AnalogueGain": 2.5,
            "ColourGains": (1.8, 1.5),
            "AeEnable": False,
        }


def test_the_sensors_time_dates_the_frame(sensor):
    with opened(f"0,{SIZE}") as source:
        frame = first_frame(source)
        assert frame.captured_mono_ns <= time.monotonic_ns() - 4_000_000, "the fake exposes 5 ms before it delivers"


def test_buffers_go_back_so_that_the_camera_never_runs_dry(sensor):
    with opened(f"0,{SIZE}") as source:
        for tick in source:
            assert isinstance(tick, Frame)
            if tick.seq > 50:
                break


def test_the_fake_does_run_dry_when_requests_are_kept(sensor):
    camera = fake_picamera2.Picamera2(0)
    camera.configure(camera.create_video_configuration(main={"format": "RGB888", "size": (90, 64)}, buffer_count=4))
    camera.start()
    kept = [camera.capture_request(wait=60) for _ in range(4)]
    with pytest.raises(concurrent.futures.TimeoutError):
        camera.capture_request(wait=0.3)
    kept[0].release()
    camera.cancel_all_and_flush()
    assert camera.capture_request(wait=60).make_array("main").shape == (64, 90, 3)
    camera.cancel_all_and_flush()
    camera.close()


def test_the_fake_hangs_in_stop_behind_a_capture_that_gets_no_frame(sensor):
    sensor.blocked.set()
    camera = fake_picamera2.Picamera2(0)
    camera.configure(camera.create_video_configuration(main={"format": "RGB888", "size": (90, 64)}))
    camera.start()
    camera.capture_request(wait=False)
    stopper = threading.Thread(target=camera.stop, daemon=True)
    stopper.start()
    stopper.join(0.3)
    assert stopper.is_alive()
    sensor.blocked.clear()
    stopper.join(patience_s())
    assert not stopper.is_alive()
    camera.close()


def test_a_camera_that_blocks_makes_ticks_stops_at_once_is_closed_and_delivers_again(sensor):
    source = opened(f"0,{SIZE}", timeout_ms=30)
    with source:
        ticks = iter(source)
        first_frame(ticks)
        sensor.blocked.set()
        for _ in range(3):
            silent = next(tick for tick in ticks if isinstance(tick, NoFrame))
            assert silent.reason is NoFrameReason.TIMEOUT
        sensor.blocked.clear()
        first_frame(ticks)
        sensor.blocked.set()
        source.stop()
        assert list(ticks) == []
    source._thread.join(patience_s())
    assert not source._thread.is_alive()
    assert not sensor.cameras[0].is_open
    sensor.blocked.clear()
    with opened(f"0,{SIZE}") as again:
        first_frame(again)


def test_a_camera_that_another_process_has_open_is_an_error_with_the_reason(sensor):
    sensor.busy = True
    with pytest.raises(SourceError, match="Device or resource busy"):
        opened("0").__enter__()


def test_a_size_that_the_camera_has_not_is_an_error_with_what_it_offers(sensor):
    sensor.largest_wh = (640, 480)
    with pytest.raises(SourceError, match="has not 1280x720 RGB888; it offers 640x480"):
        opened("0,size=1280x720").__enter__()
    assert sensor.cameras[0].is_open is False


def test_no_camera_is_an_error_with_the_command_that_lists_them(sensor):
    with pytest.raises(SourceError, match="No camera number 3 found") as caught:
        opened("3").__enter__()
    assert "shelfcam cameras" in caught.value.fix


def test_a_control_that_the_camera_has_not_is_a_wrong_configuration_with_the_nearest(sensor):
    with pytest.raises(ConfigError, match="has no control ExposureTimes") as caught:
        opened("0,ExposureTimes=3").__enter__()
    assert "did you mean ExposureTime?" in caught.value.fix
    assert sensor.cameras[0].is_open is False


@pytest.mark.parametrize("missing", ["picamera2", "libcamera"])
def test_without_the_package_what_to_install_is_said(monkeypatch, missing, sensor):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SourceError, match="need picamera2 and libcamera") as caught:
        opened("0").__enter__()
    assert "apt install" in caught.value.fix
    assert "--system-site-packages" in caught.value.fix


def test_without_any_fake_the_real_import_says_it():
    with pytest.raises(SourceError, match="need picamera2 and libcamera"):
        opened("0").__enter__()


@pytest.mark.parametrize(
    ("text", "words", "advice"),
    [
        ("front", "'front' is no number", "picamera2:0"),
        ("0,sise=1x1", "unknown option 'sise'", "did you mean 'size'?"),
        ("0,size=641x480", "each even", None),
        ("0,rotate=90", "'rotate' must be 0 or 180", None),
        ("0,ExposureTime=long", "'ExposureTime' must be a number", None),
        ("0,ExposureTime", "'ExposureTime' must be a number", None),
        ("0,ColourGains=1.5/", "'ColourGains' must be a number", None),
    ],
)
def test_a_wrong_option_is_a_wrong_configuration(text, words, advice):
    with pytest.raises(ConfigError, match=words) as caught:
        opened(text)
    if advice:
        assert advice in caught.value.fix


SIZE_SMALL = "size=200x152"  # a quarter is 50×38: rows of 128 bytes, and U ends in the middle of one


def bands(index: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Red, green, blue and grey from left to right, darker with every frame."""
    h, w = size_hw
    rgb = np.zeros((h, w, 3), np.uint8)
    for band, colour in enumerate([(220, 30, 40), (40, 180, 60), (30, 50, 200), (128, 128, 128)]):
        rgb[:, band * w // 4 : (band + 1) * w // 4] = [max(0, c - index % 20) for c in colour]
    rgb[: h // 2] //= 2
    return rgb


@pytest.fixture
def coloured(sensor):
    sensor.picture = bands
    return sensor


def away_from_edges(rgb: np.ndarray) -> np.ndarray:
    """The middles of the eight fields: colour has half the resolution, so that it runs over at edges."""
    h, w = rgb.shape[:2]
    return rgb[[h // 4, h * 3 // 4]][:, [w // 8, w * 3 // 8, w * 5 // 8, w * 7 // 8]].astype(int)


@pytest.mark.parametrize(("text", "small_hw"), [("", (38, 50)), (",lores=100x76", (76, 100)), (",lores=200x152", (152, 200))])
def test_the_small_picture_shows_the_same_in_the_same_colours_at_the_same_moment(coloured, text, small_hw):
    with opened(f"0,{SIZE_SMALL}{text}") as source:
        ticks = iter(source)
        frames = [first_frame(ticks) for _ in range(6)]
        lores = coloured.cameras[0].camera_configuration()["lores"]
    assert (lores["size"], lores["format"]) == (small_hw[::-1], "YUV420")
    assert len({int(frame.pixels[-1, -1, 0]) for frame in frames}) > 1, "moments can be told apart"
    for frame in frames:
        assert frame.small.shape == (*small_hw, 3)
        assert frame.small.flags.owndata
        assert frame.small.flags.c_contiguous
        assert np.abs(away_from_edges(frame.small) - away_from_edges(frame.pixels)).max() <= 3


def test_red_stays_red_in_the_small_picture_of_a_turned_camera(coloured):
    with opened(f"0,{SIZE_SMALL},rotate=180") as source:
        frame = first_frame(source)
    red = away_from_edges(frame.small)[0, 3]
    assert red[0] > 190
    assert red[1:].max() < 60
    assert np.abs(away_from_edges(frame.small) - away_from_edges(frame.pixels)).max() <= 3


def test_a_large_frame_has_a_small_picture_of_a_quarter_in_the_colours_that_are_converted(coloured):
    """From 1280×720 on libcamera would give BT.709 if it were not asked for BT.601."""
    with opened("0") as source:
        frame = first_frame(source)
    assert frame.small.shape == (180, 320, 3)
    assert np.abs(away_from_edges(frame.small) - away_from_edges(frame.pixels)).max() <= 3


@pytest.mark.parametrize("text", [f"{SIZE_SMALL},lores=off", "size=90x64"])
def test_without_a_small_picture_the_camera_is_not_asked_for_one(coloured, text):
    with opened(f"0,{text}") as source:
        assert first_frame(source).small is None
        assert coloured.cameras[0].camera_configuration()["lores"] is None


@pytest.mark.parametrize("second", ["larger", "other"])
def test_a_small_picture_that_is_not_the_one_asked_for_is_not_used_and_that_is_said(coloured, second, caplog):
    coloured.second = second
    with opened(f"0,{SIZE_SMALL}") as source:
        frame = first_frame(source)
    assert frame.small is None
    assert frame.pixels.shape == (152, 200, 3)
    assert "has no second stream of 50x38 YUV420 in BT.601" in caplog.text


def test_a_camera_that_refuses_a_second_stream_says_what_to_do(coloured):
    coloured.second = "none"
    with pytest.raises(SourceError, match="Camera configuration failed") as caught:
        opened(f"0,{SIZE_SMALL}").__enter__()
    assert "lores=off" in caught.value.fix
    with opened(f"0,{SIZE_SMALL},lores=off") as source:
        first_frame(source)


@pytest.mark.parametrize(
    ("text", "words", "advice"),
    [
        ("0,lores=33x18", "'lores' must be WIDTHxHEIGHT", None),
        ("0,lores=on", "'lores' must be WIDTHxHEIGHT", None),
        ("0,lores=320x240", "must have the frame's shape .* not 320x240", "320x180, or off"),
        ("0,lores=160x90", "at least a quarter of its sides, not 160x90", "320x180, or off"),
        ("0,lores=2560x1440", "must have the frame's shape", "320x180, or off"),
        ("0,size=90x64,lores=90x64", "must have the frame's shape", "off"),
    ],
)
def test_a_small_picture_by_which_no_shelf_could_be_watched_is_refused(text, words, advice):
    with pytest.raises(ConfigError, match=words) as caught:
        opened(text)
    if advice:
        assert caught.value.fix == advice


def test_the_fakes_padding_would_show(coloured):
    """Bytes between the rows are no picture: who took the stride for the width would see them."""
    camera = fake_picamera2.Picamera2(0)
    configuration = camera.create_video_configuration(
        main={"format": "RGB888", "size": (200, 152)}, lores={"size": (50, 38)}, buffer_count=4
    )
    camera.configure(configuration)
    camera.start()
    request = camera.capture_request(wait=60)
    yuv = request.make_array("lores")
    request.release()
    assert yuv.shape == (57, 128)
    assert (yuv[:38, 50:] == 0xAA).all()
    camera.cancel_all_and_flush()
    camera.close()
