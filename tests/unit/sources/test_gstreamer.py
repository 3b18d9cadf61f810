"""GStreamer pipelines: real ones through Debian's bindings, and the presets as text, for the boards are not here."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason
from edge.errors import ConfigError, SourceError
from edge.sources import open_source
from edge.sources.base import SourceLimits
from tests.fakes.debian_gi import make_importable

PATIENT = SourceLimits(open_timeout_ms=60_000)


@pytest.fixture
def gst(tmp_path, monkeypatch) -> None:
    make_importable(tmp_path, monkeypatch)


def opened(pipeline: str, *, timeout_ms: int = 60_000, limits: SourceLimits = PATIENT):
    return open_source(f"gstreamer:{pipeline}", timeout_ms=timeout_ms, limits=limits)


@pytest.mark.usefixtures("gst")
@pytest.mark.parametrize("width", [61, 62, 63, 64])
def test_rows_that_gstreamer_pads_come_without_the_padding(width):
    pipeline = f"videotestsrc is-live=true pattern=smpte ! video/x-raw,format=RGB,width={width},height=48,framerate=50/1"
    with opened(pipeline) as source:
        frame = next(iter(source))
    assert isinstance(frame, Frame)
    assert frame.pixels.shape == (48, width, 3)
    # SMPTE bars (without noise in the upper two thirds): every row is the same, and the columns are seven colours.
    upper = frame.pixels[:30]
    np.testing.assert_array_equal(upper, np.broadcast_to(upper[:1], upper.shape))
    assert 7 <= len(np.unique(upper.reshape(-1, 3), axis=0)) <= 20
    assert upper[0, width // 14].min() > 150, "the first bar is white"
    assert upper[0, width - 4].argmax() == 2, "the last bar is blue, the third channel"


@pytest.mark.usefixtures("gst")
def test_a_pipeline_with_an_appsink_of_its_own_keeps_it():
    tee = "tee name=t ! queue ! fakesink t. ! queue ! videoconvert ! appsink"
    pipeline = f"videotestsrc is-live=true ! video/x-raw,width=64,height=48 ! {tee}"
    with opened(pipeline) as source:
        frame = next(iter(source))
    assert isinstance(frame, Frame)
    assert frame.pixels.shape == (48, 64, 3)


@pytest.mark.usefixtures("gst")
def test_the_end_of_a_pipeline_is_an_error_after_the_last_frame():
    with opened("videotestsrc num-buffers=5 is-live=true ! video/x-raw,width=64,height=48") as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        with pytest.raises(SourceError, match="the pipeline ended"):
            list(ticks)


@pytest.mark.usefixtures("gst")
def test_a_pipeline_that_fails_while_it_runs_says_which_element_and_why():
    with opened("videotestsrc is-live=true ! video/x-raw,width=64,height=48 ! identity error-after=5") as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        with pytest.raises(SourceError, match=r"identity0: Failed after iterations as requested"):
            list(ticks)


@pytest.mark.usefixtures("gst")
@pytest.mark.parametrize(
    ("pipeline", "words", "advice"),
    [
        ("videotestsrc ! nosuchelement", 'no element "nosuchelement"', "gst-launch-1.0"),
        ("videotestsrc !! fakesink", "syntax error|could not|no element", "gst-launch-1.0"),
        ("preset=jetson", 'no element "nvarguscamerasrc"', "JetPack"),
        ("v4l2src device=/dev/video97", "Cannot identify device '/dev/video97'", None),
        ("filesrc location=/none/at/all ! decodebin", "Resource not found|No such file", None),
    ],
)
def test_a_pipeline_that_cannot_start_says_why(pipeline, words, advice):
    with pytest.raises(SourceError, match=words) as caught:
        opened(pipeline).__enter__()
    if advice:
        assert advice in caught.value.fix


@pytest.mark.usefixtures("gst")
def test_a_still_pattern_is_frozen():
    pipeline = "videotestsrc is-live=true pattern=black ! video/x-raw,width=64,height=48,framerate=50/1"
    with opened(pipeline, limits=SourceLimits(frozen_ms=300, open_timeout_ms=60_000)) as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        frozen = next(tick for tick in ticks if isinstance(tick, NoFrame))
    assert frozen.reason is NoFrameReason.FROZEN


@pytest.mark.usefixtures("gst")
def test_a_silent_pipeline_makes_ticks_without_a_frame():
    with opened("videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=1/1000", timeout_ms=30) as source:
        ticks = iter(source)
        silent = next(tick for tick in ticks if not isinstance(tick, Frame))
    assert isinstance(silent, NoFrame)
    assert silent.reason is NoFrameReason.TIMEOUT


@pytest.mark.usefixtures("gst")
def test_a_pipeline_that_never_delivers_is_given_up_after_open_timeout_ms():
    pipeline = "appsrc is-live=true caps=video/x-raw,format=RGB,width=64,height=48"
    with pytest.raises(SourceError, match="did not open within 300 ms"):
        opened(pipeline, limits=SourceLimits(open_timeout_ms=300)).__enter__()


def test_without_the_bindings_the_packages_are_named():
    code = (
        "import sys; sys.modules['gi'] = None\n"
        "from edge.sources import open_source\n"
        "from edge.errors import SourceError\n"
        "try: open_source('gstreamer:videotestsrc', timeout_ms=1000).__enter__()\n"
        "except SourceError as error: print(error, '|', error.fix)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "need GStreamer's Python bindings" in done.stdout
    assert "apt install python3-gi" in done.stdout
    assert "--system-site-packages" in done.stdout


@pytest.mark.parametrize(
    ("text", "pipeline"),
    [
        (
            "preset=jetson,sensor=1,size=1920x1080,fps=30,flip=2",
            "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1920,height=1080,framerate=30/1 "
            "! nvvidconv flip-method=2 ! video/x-raw,format=BGRx",
        ),
        (
            "preset=jetson",
            "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720 "
            "! nvvidconv flip-method=0 ! video/x-raw,format=BGRx",
        ),
        (
            "preset=pi,camera=/base/soc/i2c0mux/i2c@1/imx708@1a,size=1536x864,fps=15",
            'libcamerasrc camera-name="/base/soc/i2c0mux/i2c@1/imx708@1a" '
            "! video/x-raw,format=NV12,width=1536,height=864,framerate=15/1",
        ),
        ("preset=pi", "libcamerasrc ! video/x-raw,format=NV12,width=1280,height=720"),
    ],
)
def test_presets(text, pipeline):
    source = opened(text)
    assert source._text == f"{pipeline} ! videoconvert ! video/x-raw,format=RGB ! appsink name=shelfcam"


@pytest.mark.parametrize(
    ("text", "words", "advice"),
    [
        ("", "has no pipeline", "preset=jetson"),
        ("preset=jetsen", "unknown preset 'jetsen'", "jetson, pi"),
        ("preset=pi,sensor=1", "unknown option 'sensor'", "allowed: preset, camera, size, fps"),
        ("preset=jetson,fpz=1", "unknown option 'fpz'", "did you mean 'fps'?"),
        ("preset=jetson,flip=9", "'flip' must be 0 to 7", None),
        ("preset=jetson,size=1281x720", "each even", None),
        ('preset=pi,camera="! filesink', "'camera' must be", None),
    ],
)
def test_a_wrong_preset_is_a_wrong_configuration(text, words, advice):
    with pytest.raises(ConfigError, match=words) as caught:
        opened(text)
    if advice:
        assert advice in caught.value.fix


def test_a_password_in_a_pipeline_is_not_shown():
    source = opened("rtspsrc location=rtsp://h/1 user-id=me user-pw=hush ! decodebin")
    assert "hush" not in source.shown
    assert "hush" in source._text
