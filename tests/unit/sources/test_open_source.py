"""What a user writes to choose a source, and what the answer gives away."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError, DataError, InputMissingError, ShelfcamError
from edge.secret import show_url
from edge.sources import SOURCES, _load, open_source, show_source
from edge.sources.base import SourceLimits
from edge.sources.files import ImageDirectory, ImageFile
from edge.sources.mjpeg import HttpCamera
from edge.sources.stream import RtspCamera
from edge.sources.synthetic import SyntheticCamera
from edge.sources.video import VideoFile


def opened(uri: str):
    return open_source(uri, timeout_ms=1000)


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "one.PNG"
    assert cv2.imwrite(str(file), np.zeros((4, 4, 3), np.uint8))
    return file


def test_every_registered_source_can_be_loaded():
    for kind in SOURCES:
        assert callable(_load(kind))


def test_a_path_says_by_its_suffix_what_it_is(tmp_path, picture):
    assert isinstance(opened(str(picture)), ImageFile)
    assert isinstance(opened(str(tmp_path)), ImageDirectory)
    for suffix in (".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mjpeg", ".MP4"):
        film = tmp_path / f"film{suffix}"
        film.touch()
        assert isinstance(opened(str(film)), VideoFile)


def test_a_prefix_says_it_outright(tmp_path, picture):
    other = tmp_path / "film.dat"
    other.touch()
    assert isinstance(opened(f"video:{other}"), VideoFile)
    assert isinstance(opened(f"image:{other}"), ImageFile)
    assert isinstance(opened(f"directory:{tmp_path}"), ImageDirectory)
    with pytest.raises(DataError, match=r"film\.dat") as caught:
        opened(str(other))
    assert ".png" in caught.value.fix
    assert "video:" in caught.value.fix


def test_a_directory_with_a_pictures_suffix_and_a_file_with_a_colon_are_what_they_are(tmp_path, picture, monkeypatch):
    (tmp_path / "album.png").mkdir()
    assert isinstance(opened(str(tmp_path / "album.png")), ImageDirectory)
    picture.rename(tmp_path / "shelf:1.png")
    monkeypatch.chdir(tmp_path)
    assert isinstance(opened("shelf:1.png"), ImageFile)


@pytest.mark.parametrize(
    "uri", ["", "none.png", "none", "/none/at/all.mp4", "image:", "video:none.mp4", "directory:none", "a" * 5000]
)
def test_a_path_that_is_not_there_is_missing_input(uri):
    with pytest.raises(InputMissingError, match="no such file") as caught:
        opened(uri)
    assert "synthetic:" in caught.value.fix


def test_synthetic_options_reach_the_camera():
    camera = opened("synthetic:fps=12.5,seed=3,size=320x240,frames=100")
    assert isinstance(camera, SyntheticCamera)
    assert (camera._fps, camera._frames, camera._timeout_ms, camera.live) == (12.5, 100, 1000, True)
    assert camera.scene.render(0).shape == (240, 320, 3)
    assert not opened("synthetic:fps=0").live
    assert isinstance(opened("synthetic:"), SyntheticCamera)


@pytest.mark.parametrize(
    ("options", "names", "advises"),
    [
        ("sed=3", "'sed'", "did you mean 'seed'? allowed: fps, seed, size, frames"),
        ("fsp=3", "'fsp'", "did you mean 'fps'?"),
        ("colour=red", "'colour'", "allowed: fps, seed, size, frames"),
        ("fps=fast", "'fps' must be", None),
        ("fps=-1", "'fps' must be", None),
        ("fps=nan", "'fps' must be", None),
        ("fps=1e9", "'fps' must be", None),
        ("fps", "'fps' must be", None),
        ("seed=-1", "'seed' must be", None),
        ("seed=1.5", "'seed' must be", None),
        ("seed=²", "'seed' must be", None),
        ("frames=0", "'frames' must be", None),
        ("size=640", "'size' must be WIDTHxHEIGHT", None),
        ("size=10x10", "'size' must be", None),
        ("size=99999x99999", "'size' must be", None),
        ("seed=1,seed=2", "'seed' is given twice", None),
        ("slots=2", "'slots' must be 1", None),
        ("slots=1,fps=0", "'slots' needs a rate", "write fps=10"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(options, names, advises):
    with pytest.raises(ConfigError) as caught:
        opened(f"synthetic:{options}")
    assert names in str(caught.value)
    if advises:
        assert advises in caught.value.fix


@pytest.mark.parametrize("kind", ["rtmp://host/1", "ftp://host/a.png", "usb:0"])
def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(kind):
    with pytest.raises(ConfigError, match="unknown kind of source") as caught:
        opened(kind)
    for known in SOURCES:
        assert f"{known}:" in caught.value.fix


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https", "RTSP"])
def test_an_address_is_a_stream_whatever_it_ends_in(scheme):
    source = opened(f"{scheme}://me:secret@host/Shelf.mp4")
    assert isinstance(source, (RtspCamera, HttpCamera))
    assert source.live
    assert source._address.url == f"{scheme.lower()}://host/Shelf.mp4"
    assert re.fullmatch(f"{scheme.lower()}://host#[g-z]{{6}}", source.shown)


def test_limits_reach_a_camera():
    limits = SourceLimits(frozen_ms=3, open_timeout_ms=4, read_timeout_ms=5)
    source = open_source("rtsp://host/1", timeout_ms=2, limits=limits)
    assert source._limits == SourceLimits(timeout_ms=2, frozen_ms=3, open_timeout_ms=4, read_timeout_ms=5)


def test_the_nearest_kind_is_offered():
    with pytest.raises(ConfigError) as caught:
        opened("syntetic:fps=3")
    assert "did you mean synthetic:?" in caught.value.fix


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("photos/cat", "photos/cat"),
        ("/etc/shelfcam/Küche (2)/b.png", "/etc/shelfcam/Küche (2)/b.png"),
        ("image:photos/a.png", "image:photos/a.png"),
        ("synthetic:fps=3", "synthetic:fps=3"),
        ("synthetic:fps=3,size=640x480,slots=1", "synthetic:fps=3,size=640x480,slots=1"),
        ("v4l2:/dev/video0,size=1280x720,fourcc=MJPG", "v4l2:/dev/video0,size=1280x720,fourcc=MJPG"),
        ("picamera2:0,ExposureTime=8000,ColourGains=1.8/1.5", "picamera2:0,ExposureTime=8000,ColourGains=1.8/1.5"),
        ("gstreamer:preset=jetson,sensor=1", "gstreamer:preset=jetson,sensor=1"),
        ("rtsp://host", "rtsp://host"),
    ],
)
def test_what_can_hold_no_secret_is_shown_as_it_is(uri, shown):
    assert show_source(uri) == shown


def test_a_path_that_is_there_is_shown_whatever_its_name(picture):
    odd = picture.with_name("cat@2x=1.png")
    picture.rename(odd)
    assert show_source(str(odd)) == str(odd)
    assert show_source(f"image:{odd}") == f"image:{odd}"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("gstreamer:rtspsrc location=rtsp://h/1 user-pw=SECRET ! decodebin", "gstreamer:rtspsrc!decodebin#"),
        ('gstreamer:rtspsrc location="rtsp://u:a!SECRET!b@h" ! fakesink', "gstreamer:rtspsrc!fakesink#"),
        ("gstreamer:SECRET", "gstreamer:#"),
        ("gstreamer:preset=pi,camera=SECRET", "gstreamer:preset=pi#"),
        ("v4l2:0,SECRET=1", "v4l2:0#"),
        ("v4l2:SECRET@x,fps=3", "v4l2:fps=3#"),
        ("synthetic:fps=SECRET", "synthetic:#"),
        ("picamera2:0,Secret=SECRET", "picamera2:0#"),
        ("SECRET@host/x", "#"),
        ("//me:SECRET@host/x", "#"),
        ("/etc/shelfcam/me:SECRET@host", "#"),
        ("image:me:SECRET@host", "image:#"),
        ("video:http://h/a.mp4?token=SECRET", "video:#"),
        ("192.168.1.9:554/live?password=SECRET", "#"),
    ],
)
def test_what_could_hold_one_is_shown_in_parts(uri, shown):
    assert re.fullmatch(re.escape(shown) + "[g-z]{6}", show_source(uri))


_FORMS = (
    "rtsp://host/{}",
    "rtsp://me:{}@host/1",
    "rtsp://{}@host/1",
    "rtsp://host/user=admin_password={}_channel=1.sdp",
    "RTSPS://Me:{}@Host:322/1",
    "https://host/api/webhook/{}?x=1#y",
    "http://host?auth={}",
    "http://host/#{}",
    "http:me:{}@host",
    "http://me:{}/x@host/1",
    "http://me:1/{}@host/1",
    "http://a@b@{}/x@host",
    "http://host\\{}@h",
    "http://[::1]/{}",
    "http://[::{}]/",
    "http://host:{}/",
    "rtmp://me:{}@h/1",
    "me:{}@h",
    "//me:{}@h/1",
    "me:{}@h:554/1",
    "h/1?password={}",
    "image:me:{}@h",
    "video:http://me:{}@h",
    "synthetic:fps={}",
    "synthetic:token={}",
    "v4l2:0,token={}",
    "v4l2:me:{}@h",
    "picamera2:{}",
    "picamera2:0,ExposureTime={}",
    "gstreamer:preset={}",
    "gstreamer:preset=jetson,pw={}",
    "gstreamer:rtspsrc location=rtsp://me:{}@h user-pw='{}' ! decodebin",
)


@given(
    secret=st.text(st.characters(categories=("L", "N", "P", "S", "Zs", "Cc")), min_size=4, max_size=30),
    form=st.sampled_from(_FORMS),
)
def test_no_piece_of_a_secret_is_shown_wherever_it_stood(secret, form):
    # The letters of a hash, and the words of our own messages, stand apart from it: no piece of it is made of small letters.
    secret = "\N{SNOWMAN}Q7" + re.sub("[a-z ]", "Z", secret)
    uri = form.replace("{}", secret)
    said = [show_source(uri), show_url(uri)]
    try:
        said.append(opened(uri).shown)
    except ShelfcamError as error:
        said += [str(error), error.fix or ""]
    pieces = {secret[i : i + 4] for i in range(len(secret) - 3)}
    for text in said:
        assert not [piece for piece in pieces if piece.lower() in text.lower()]


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"synthetic:{text}"),
        st.text(alphabet="fpsedizramn=,x0123456789.").map("synthetic:".__add__),
        st.tuples(st.sampled_from(sorted(SOURCES)), st.text()).map(":".join),
        st.tuples(st.sampled_from(("v4l2:0,", "picamera2:0,", "gstreamer:preset=")), st.text("ajpifzscorE=,x01/.")).map(
            "".join
        ),
    )
)
def test_any_text_is_a_source_or_an_error_that_says_who_acts(uri):
    with contextlib.suppress(ShelfcamError):
        assert hasattr(opened(uri), "live")


def test_naming_sources_imports_no_opencv():
    code = "import sys, edge.sources; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
