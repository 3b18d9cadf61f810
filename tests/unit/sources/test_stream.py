"""Network cameras: faults of real servers on loopback, and what of the password can be seen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from edge.clock import Clock
from edge.config import CameraConfig
from edge.data import Frame, NoFrame, NoFrameReason
from edge.errors import ConfigError, SourceError
from edge.secret import show_url
from edge.site import open_camera
from edge.sources import open_source
from edge.sources.base import SourceLimits
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import patience_s
from tests.fakes.rtsp import RED_VIDEO, RtspServer, why_not

PATIENT = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=60_000)
needs_rtsp = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


def picture(index: int) -> np.ndarray:
    return np.full((48, 64, 3), (200, index % 100, 0), np.uint8)


def still(_: int) -> np.ndarray:
    return picture(0)


def opened(url: str, *, timeout_ms: int = 60_000, limits: SourceLimits = PATIENT):
    return open_source(url, timeout_ms=timeout_ms, limits=limits)


@needs_rtsp
def test_a_killed_rtsp_server_is_an_error_and_a_new_one_at_the_same_address_is_read_again():
    with RtspServer(RED_VIDEO) as server:
        for _ in range(2):
            with opened(server.url) as source:
                ticks = iter(source)
                assert isinstance(next(ticks), Frame)
                server.kill()
                with pytest.raises(SourceError, match=r"rtsp://127\.0\.0\.1:[0-9]+#[g-z]{6}: the stream"):
                    list(ticks)
            server.start()


@pytest.mark.slow
@needs_rtsp
def test_twenty_killed_servers_leave_no_thread_and_no_descriptor_behind():
    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    after: list[tuple[int, int]] = []
    with RtspServer(RED_VIDEO) as server:
        for _ in range(20):
            with opened(server.url) as source:
                ticks = iter(source)
                assert isinstance(next(ticks), Frame)
                server.kill()
                with pytest.raises(SourceError, match="the stream"):
                    list(ticks)
            source._thread.join(patience_s())
            after.append(held())
            server.start()
    assert after[-1] == after[1]


@needs_rtsp
def test_rtsp_goes_over_tcp():
    with RtspServer(RED_VIDEO) as server, opened(server.url) as source:
        assert isinstance(next(iter(source)), Frame)
        rows = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
        established = [row for row in rows if row.split()[3] == "01" and row.split()[2].endswith(f":{server.port:04X}")]
        assert len(established) == 1
        sockets = {os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
        datagrams = {f"socket:[{row.split()[9]}]" for row in Path("/proc/self/net/udp").read_text().splitlines()[1:]}
        assert not sockets & datagrams, "no UDP port is open for RTP"


@needs_rtsp
def test_rtsp_asks_for_the_password_and_gets_it_from_the_file(tmp_path):
    password = "p@s:/s w#%?"
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    with RtspServer(RED_VIDEO, user="me", password=password) as server:
        with pytest.raises(SourceError, match="no stream"):
            opened(server.url).__enter__()
        url = server.url.replace("//", "//me@")
        with pytest.raises(SourceError, match=r"rtsp://127\.0\.0\.1:\d+#[g-z]{6}: "):
            opened(url).__enter__()
        camera = CameraConfig(source=url, password_file=str(file), timeout_ms=60_000, open_timeout_ms=60_000)
        with open_camera(camera, Clock()) as source:
            assert isinstance(next(iter(source)), Frame)
            assert source.shown == show_url(url)
            assert password not in source.shown


def test_http_gets_a_password_that_holds_any_character():
    password = "p@s:/s w#%?"
    with MjpegServer(picture, login=f"me:{password}") as server:
        with pytest.raises(SourceError, match="no stream"):
            opened(server.url).__enter__()
        with opened(server.url.replace("//", f"//me:{quote(password, safe='')}@")) as source:
            assert isinstance(next(iter(source)), Frame)


@pytest.mark.parametrize(
    ("uri", "content", "words"),
    [
        ("rtsp://host/1", "secret", "no place for the password"),
        ("rtsp://me:other@host/1", "secret", "no place for the password"),
        ("v4l2:0", "secret", "no place for the password"),
        ("rtsp://me@host/1", "", "is empty"),
        ("rtsp://me@host/1", None, "No such file"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_a_wrong_configuration(tmp_path, uri, content, words):
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=words) as caught:
        open_camera(CameraConfig(source=uri, password_file=str(file)), Clock())
    assert str(file) in str(caught.value)
    assert "other" not in f"{caught.value} {caught.value.fix}"


def test_a_server_that_hangs_up_is_an_error_after_the_last_frame():
    with MjpegServer(picture, end_at=20) as server, opened(server.url) as source:
        frames = []
        with pytest.raises(SourceError, match=f"http://127.0.0.1:{server.port}#[g-z]{{6}}: the stream ended"):
            frames.extend(source)
        assert isinstance(frames[0], Frame)


def test_a_stream_that_stalls_in_the_middle_of_a_frame_makes_ticks_then_an_error():
    limits = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=1_500)
    with MjpegServer(picture, stall_at=20) as server, opened(server.url, timeout_ms=50, limits=limits) as source:
        ticks = []
        with pytest.raises(SourceError, match="the stream stalled: nothing came for 1500 ms"):
            ticks.extend(source)
    assert isinstance(ticks[0], Frame)
    assert isinstance(ticks[-1], NoFrame)
    assert ticks[-1].reason is NoFrameReason.TIMEOUT


def test_stop_does_not_wait_for_a_stalled_stream(monkeypatch):
    monkeypatch.setattr("edge.sources.live._CLOSE_S", 0.0)
    with MjpegServer(picture, stall_at=20) as server:
        with opened(server.url, timeout_ms=600_000) as source:
            ticks = iter(source)
            assert isinstance(next(ticks), Frame)
            assert server.stalled.wait(patience_s())
            threading.Timer(0.2, source.stop).start()
            list(ticks)
        assert source._thread.is_alive(), "the read goes on: nothing but the stop ended the loop"
    source._thread.join(patience_s())  # the server has hung up
    assert not source._thread.is_alive()


def test_a_stream_of_the_same_picture_is_frozen():
    limits = SourceLimits(frozen_ms=300, open_timeout_ms=60_000, read_timeout_ms=60_000)
    with MjpegServer(still) as server, opened(server.url, limits=limits) as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        frozen = next(tick for tick in ticks if isinstance(tick, NoFrame))
    assert frozen.reason is NoFrameReason.FROZEN


def test_a_stream_that_changes_its_size_is_scaled_to_the_first_size_by_opencv():
    def growing(index: int) -> np.ndarray:
        return picture(index) if index < 10 else np.full((96, 128, 3), (0, 0, 200), np.uint8)

    with MjpegServer(growing) as server, opened(server.url) as source:
        for tick in source:
            assert isinstance(tick, Frame)
            assert tick.pixels.shape == (48, 64, 3)
            if tick.pixels[..., 2].mean() > 150:
                break


def test_nobody_at_the_address_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for scheme in ("rtsp", "http", "https", "rtsps"):
        with pytest.raises(SourceError, match="no stream comes from there") as caught:
            opened(f"{scheme}://me:secret@127.0.0.1:{port}/1").__enter__()
        assert "secret" not in f"{caught.value} {caught.value.fix}"


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_never_answers_is_given_up_after_open_timeout_ms(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = opened(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/1", limits=SourceLimits(open_timeout_ms=400))
        before = time.monotonic()
        with pytest.raises(SourceError, match=r"did not open within 400 ms|no stream comes from there"):
            source.__enter__()
        assert time.monotonic() - before >= 0.4


def test_a_video_file_behind_http_is_told_from_a_stream(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "film.mp4"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for index in range(30):
        writer.write(picture(index))
    writer.release()
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().split(" port ")[1].split()[0]
            with pytest.raises(SourceError, match=r"a video file of [0-9,]+ bytes, not a camera's stream") as caught:
                opened(f"http://127.0.0.1:{port}/film.mp4").__enter__()
            assert "download it" in caught.value.fix
        finally:
            server.terminate()


def test_no_output_of_a_process_shows_the_password(tmp_path):
    with MjpegServer(picture, login="me:hush-hush") as server:
        for url in (server.url.replace("//", "//me:wrong-secret@"), "rtsp://me:wrong-secret@127.0.0.1:1/1"):
            command = [sys.executable, "-m", "edge.cli", "run", "--source", url, "--events", str(tmp_path / "e.jsonl")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 69, done.stderr
            assert "://127.0.0.1:" in done.stderr
            assert "wrong-secret" not in done.stdout + done.stderr
            assert "wrong-secret" not in "".join(p.read_text() for p in tmp_path.iterdir())
