"""The camera loop over live sources: a real process, real servers, and their faults."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.fakes import tiny
from tests.fakes.debian_gi import make_importable
from tests.fakes.events import lines_of
from tests.fakes.hostile import http, multipart
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import patience_s, wait_until
from tests.fakes.rtsp import RtspServer, why_not


def green(index: int) -> np.ndarray:
    picture = tiny.picture("green", 48, 64).copy()
    picture[0, 0] = index % 200  # as a sensor's noise
    return picture


class Run:
    """``shelfcam run`` in a process of its own."""

    def __init__(self, bundle: Path, folder: Path, source: str, camera: str = "", **env: str) -> None:
        self.events, self.log = folder / "events.jsonl", folder / "log"
        site = folder / "site.toml"
        lines = [
            "config_version = 1",
            "[recovery]",
            "reopens = 1",
            "[camera]",
            f"source = {json.dumps(source)}",
            "open_timeout_ms = 60000",
            camera,
        ]
        site.write_text("\n".join([*lines, "[[sink]]", 'kind = "jsonl"', f"path = {json.dumps(str(self.events))}\n"]))
        command = [sys.executable, "-m", "edge.cli", "run", "--config", str(site), "--bundle", str(bundle)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, env=os.environ | env)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def seen(self) -> list[dict]:
        return lines_of(self.events)

    def wait(self, reached: Callable[[], object]) -> None:
        def reached_alive() -> bool:
            if reached():
                return True
            assert self.process.poll() is None, self.log.read_text()
            return False

        wait_until(reached_alive, self.log.read_text, every_s=0.05)

    def labels(self) -> set[str]:
        return {event["top"][0]["label"] for event in self.seen() if event["kind"] == "observation"}


def test_a_network_camera_runs_and_its_death_is_exit_69_with_everything_written(colour_bundle, tmp_path):
    with MjpegServer(green) as server, Run(colour_bundle, tmp_path, server.url) as run:
        run.wait(lambda: len(run.seen()) > 5)
        server.close()
        assert run.process.wait(patience_s()) == 69
    assert run.labels() == {"green"}
    assert "the stream ended" in run.log.read_text()


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")
def test_a_killed_rtsp_server_is_exit_69_so_that_the_service_is_restarted(colour_bundle, tmp_path):
    pattern = "videotestsrc is-live=true pattern=ball foreground-color=0xff00ff00 background-color=0xff00c000"
    video = f"{pattern} ! video/x-raw,width=128,height=96,framerate=25/1 ! videoconvert"
    with RtspServer(video) as server, Run(colour_bundle, tmp_path, server.url) as run:
        run.wait(lambda: len(run.seen()) > 5)
        server.kill()
        assert run.process.wait(patience_s()) == 69
    assert run.labels() == {"green"}


def test_a_camera_that_announces_gigabytes_is_opened_again_and_then_left_to_the_service(colour_bundle, tmp_path):
    part = multipart(b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % 2**62)
    with http(part, lambda client: [client.sendall(bytes(65536)) for _ in range(100_000)]) as server:
        with Run(colour_bundle, tmp_path, f"http://127.0.0.1:{server.port}/") as run:
            assert run.process.wait(patience_s()) == 69
        assert server.connections >= 2
    assert "its Content-Length is" in run.log.read_text()
    assert "reopen" in run.log.read_text()


def test_a_stalled_stream_is_said_and_sigterm_stops_it_cleanly(colour_bundle, tmp_path):
    with (
        MjpegServer(green, stall_at=20) as server,
        Run(colour_bundle, tmp_path, server.url, "timeout_ms = 100\nread_timeout_ms = 600000") as run,
    ):
        run.wait(lambda: "no frame (timeout)" in run.log.read_text() and server.stalled.is_set())
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(patience_s()) == 0, run.log.read_text()
    assert run.seen()[-1]["type"] == "stopped"


def test_sigterm_stops_a_camera_that_does_not_open(colour_bundle, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/video"
        with Run(colour_bundle, tmp_path, url) as run:
            silent.settimeout(patience_s())
            client, _ = silent.accept()
            run.process.send_signal(signal.SIGTERM)
            assert run.process.wait(patience_s()) == 0, run.log.read_text()
            client.close()
    assert run.seen()[-1]["type"] == "stopped"


def test_a_frozen_sensor_is_said_and_makes_no_more_events(colour_bundle, tmp_path):
    with (
        MjpegServer(lambda _: green(0)) as server,
        Run(colour_bundle, tmp_path, server.url, "timeout_ms = 100\nfrozen_ms = 1000") as run,
    ):
        run.wait(lambda: "no frame (frozen): the same picture for 1000 ms" in run.log.read_text())
        sent = server.sent
        run.wait(lambda: server.sent > sent + 75)  # at 50 a second
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(patience_s()) == 0
    captured = [datetime.fromisoformat(event["captured_utc"]) for event in run.seen() if event["kind"] == "observation"]
    assert captured
    assert captured[-1] - captured[0] < timedelta(seconds=1.1), "of the first second of the same picture only"


def test_a_gstreamer_pipeline_runs(colour_bundle, tmp_path, monkeypatch):
    (tmp_path / "debian").mkdir()
    make_importable(tmp_path / "debian", monkeypatch)
    pipeline = "videotestsrc is-live=true pattern=solid-color foreground-color=0xff00fa00 ! video/x-raw,width=64,height=48"
    with Run(colour_bundle, tmp_path, f"gstreamer:{pipeline}", PYTHONPATH=str(tmp_path / "debian")) as run:
        run.wait(lambda: len(run.seen()) > 5)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(patience_s()) == 0, run.log.read_text()
    assert run.labels() == {"green"}
    assert not run.seen()[-1]["simulated"]
