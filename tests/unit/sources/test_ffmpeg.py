"""What FFmpeg may open, and how much memory a stream or a file can make it take."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import DataError
from edge.sources import ffmpeg
from edge.sources.video import VideoFile
from tests.conftest import ROOT
from tests.fakes.h264 import annex_b, rtp
from tests.fakes.hostile import Hostile, http, multipart
from tests.fakes.hostile import rtsp as rtsp_camera

MOST_MB = 600


def film(path: Path, fourcc: str = "mp4v", size: tuple[int, int] = (64, 48)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), 10, size)
    for index in range(5):
        writer.write(np.full((*size[::-1], 3), 50 + index, np.uint8))
    writer.release()
    return path


# Files that name others.


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.mkv", "film.webm", "film.mjpeg", "film.m3u8"])
@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-MAP:URI=\"{}\"\n#EXTINF:1,\n{}\n",
        "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"{}\"\n#EXTINF:1,\n{}\n",
        "ffconcat version 1.0\nfile '{}'\n",
        '<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet><Representation id="1"><BaseURL>{}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "[playlist]\nFile1={}\n",
        "RTSPtext\nrtsp://{}\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["http", "file", "plain"])
def test_a_file_that_names_others_opens_none_of_them(tmp_path, name, content, place):
    canary = film(tmp_path / "canary.avi", "MJPG")
    with Hostile(lambda client: client.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + canary.read_bytes())) as inside:
        where = {"http": f"http://127.0.0.1:{inside.port}/x.ts", "file": f"file://{canary}", "plain": "canary.avi"}[place]
        (tmp_path / name).write_text(content.replace("{}", where))
        with (
            pytest.raises(DataError, match=r"cannot be opened as a video|no frame in it"),
            VideoFile(tmp_path / name) as source,
        ):
            list(source)
        assert inside.connections == 0


@pytest.mark.parametrize(
    "name", ["concat:canary.avi|canary.avi.mp4", "http:x.avi", "subfile,,start,0,end,0,,:a.avi", "data:video,x.avi", "%03d.avi"]
)
def test_a_name_is_a_name_whatever_it_begins_with(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "canary.avi", "MJPG").rename(tmp_path / name)
    with VideoFile(Path(name)) as source:
        assert len(list(source)) == 5


def test_the_users_options_stay_and_win_over_the_same_of_ours(monkeypatch, tmp_path):
    assert ffmpeg.merged({"a": "1", "b": "2"}, "b;3|c;4|nonsense") == "a;1|b;3|c;4"
    path = film(tmp_path / "film.avi", "MJPG")
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "format_whitelist;mov")
    assert not ffmpeg.open_walled(str(path), {"format_whitelist": "avi"}, max_pixels=64_000_000).isOpened()
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "probesize;50000")
    assert ffmpeg.open_walled(str(path), {"format_whitelist": "avi"}, max_pixels=64_000_000).isOpened()
    assert not ffmpeg.open_walled(str(path), {"format_whitelist": "mov"}, max_pixels=64_000_000).isOpened()
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "probesize;50000"
    monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS")
    ffmpeg.open_walled(str(path), {"format_whitelist": "mov"}, max_pixels=64_000_000)
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ


# Memory, in a process of its own.

_CHILD = """
import json, resource, sys
from edge.sources import open_source
from edge.sources.base import SourceLimits
from edge.errors import ShelfcamError
import cv2, numpy
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
before, frames, error = peak(), 0, ""
limits = SourceLimits(timeout_ms=60000, open_timeout_ms=6000, read_timeout_ms=5000, max_pixels=int(sys.argv[2]))
try:
    with open_source(sys.argv[1], timeout_ms=60000, limits=limits) as source:
        for tick in source:
            frames += 1
except ShelfcamError as failure:
    error = f"{type(failure).__name__}: {failure}"
print(json.dumps([peak() - before, frames, error]))
"""


def spent(url: str, max_pixels: int = 64_000_000) -> tuple[float, int, str]:
    """Megabytes at the peak, frames, and the error."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, url, str(max_pixels)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    more_mb, frames, error = json.loads(done.stdout)
    return more_mb, frames, error


def forever(client) -> None:
    while True:
        client.sendall(b"\xff" * 1_000_000)


def typed(kind: str, content: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + content


def atom(kind: bytes, size: int, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", size, kind) + content


MP4 = atom(b"ftyp", 16, b"isom\0\0\2\0")
BOMBS = {
    "part of 2^62": multipart(b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % 2**62),
    "part without end": multipart(b"--b\r\nContent-Type: image/jpeg\r\n\r\n"),
    "atom of 2^31": typed("video/mp4", MP4 + atom(b"moov", 2**31 - 1) + atom(b"udta", 2**31 - 20)),
    "atom of 2^62": typed("video/mp4", MP4 + atom(b"mdat", 1, struct.pack(">Q", 2**62))),
    "FLV": typed("video/x-flv", b"FLV\1\5\0\0\0\x09\0\0\0\0" + b"\x09\xff\xff\xff\0\0\0\0\0\0\0\x17\0\0\0\0"),
    "AVI": typed("video/avi", b"RIFF\xff\xff\xff\x7fAVI LIST\xff\xff\xff\x7fhdrlavih\xff\xff\xff\x7f"),
    "Matroska": typed("video/x-matroska", b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xfe"),
    "raw JPEG": typed("video/x-motion-jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xdb\0\x43"),
    "bytes": typed("application/octet-stream", b"\xff\xfe\xfd"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_announces_gigabytes_over_http_ends_in_an_error_of_the_camera(bomb):
    with http(BOMBS[bomb], forever) as server:
        more_mb, _, error = spent(f"http://127.0.0.1:{server.port}/")
    assert error.startswith("SourceError"), error
    assert more_mb < MOST_MB


@pytest.mark.parametrize("size", [(16384, 16384), (16000, 16000), (32768, 4096), (9600, 9600)])
def test_h264_that_announces_giant_pictures_ends_in_an_error_of_the_camera(size):
    with http(typed("video/h264", annex_b(*size))) as server:
        more_mb, frames, error = spent(f"http://127.0.0.1:{server.port}/")
    assert error.startswith("SourceError"), error
    assert frames == 0
    assert more_mb < MOST_MB
    with rtsp_camera({}, lambda client: client.sendall(rtp(*size))) as server:
        more_mb, frames, error = spent(f"rtsp://127.0.0.1:{server.port}/")
    assert error.startswith("SourceError"), error
    assert frames == 0
    assert more_mb < MOST_MB


def test_a_picture_that_grows_in_mid_stream_is_not_taken():
    with http(typed("video/h264", annex_b(64, 48, 20) + annex_b(16000, 16000, 60))) as server:
        more_mb, _, error = spent(f"http://127.0.0.1:{server.port}/")
    assert error.startswith("SourceError"), error
    assert more_mb < MOST_MB


def test_the_site_says_how_large_a_picture_may_be():
    with http(typed("video/h264", annex_b(1920, 1088))) as server:
        _, frames, error = spent(f"http://127.0.0.1:{server.port}/", max_pixels=2_000_000)
    assert (frames, "1,920×1,088" in error) == (0, True), error
    with http(typed("video/h264", annex_b(1920, 1088))) as server:
        _, frames, error = spent(f"http://127.0.0.1:{server.port}/")
    assert frames > 0, error


def test_ffmpeg_takes_no_memory_beyond_the_largest_picture_at_once(tmp_path):
    if ffmpeg._max_alloc() is None:
        pytest.skip("OpenCV's FFmpeg is not there as a library of its own")
    ffmpeg._max_alloc()(2**31 - 1)  # another test's may be there
    path = film(tmp_path / "large.avi", "MJPG", (8000, 6000))
    assert ffmpeg.open_walled(str(path), {}, max_pixels=48_000_000).read()[0]
    ffmpeg._max_alloc()(40_000_000)
    try:
        assert not cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()[0]
    finally:
        ffmpeg._max_alloc()(2**31 - 1)


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "film.mkv", "film.mjpeg"])
def test_a_file_that_announces_gigabytes_is_no_video(tmp_path, name):
    for bomb in ("atom of 2^31", "FLV", "AVI", "Matroska"):
        (tmp_path / name).write_bytes(BOMBS[bomb].partition(b"\r\n\r\n")[2] + b"\xff" * 5_000_000)
        more_mb, _, error = spent(str(tmp_path / name))
        assert error.startswith("DataError"), error
        assert more_mb < MOST_MB
