"""The service as a real process: its face to monitors, and what signals do to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.conftest import ROOT

PATIENCE_S = 120.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Service:
    """``shelfcam run --config`` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "shelf-1.toml"
        self.events_file = folder / "events.jsonl"
        self.log = folder / "log"
        self.process: subprocess.Popen | None = None

    def write(self, text: str) -> None:
        new = self.config.with_suffix(".new")
        new.write_text(f"config_version = 1\n{text}\n")
        new.replace(self.config)

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "edge.cli", "run", "--config", str(self.config), "--events", str(self.events_file)]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.events_file.read_text().splitlines()] if self.events_file.exists() else []

    def types(self) -> list[str]:
        return [event["type"] for event in self.events() if event["kind"] == "status"]

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process is not None
            assert self.process.poll() is None, f"ended while waiting for {what}: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def service(tmp_path: Path):
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def observed(service: Service) -> int:
    return sum(event["kind"] == "observation" for event in service.events())


def test_a_running_service_shows_its_metrics_and_its_health(service: Service, colour_bundle: Path) -> None:
    pytest.importorskip("prometheus_client")
    port = free_port()
    service.write(
        f"[camera]\nname = 'shelf-1'\nsource = 'synthetic:fps=20'\n[model]\nbundle = '{colour_bundle}'\n[state]\ndir = 'state'\n"
        f"[metrics]\nlisten = '127.0.0.1:{port}'"
    )
    service.start()
    service.wait("frames", lambda: observed(service) > 3)
    status, text = get(port, "/metrics")
    assert status == 200
    frames = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("shelfcam_frames_processed_total "))
    assert 3 <= frames <= observed(service)
    assert 'shelfcam_stage_seconds_count{stage="inference"}' in text
    assert "process_resident_memory_bytes" in text
    status, body = get(port, "/healthz")
    health = json.loads(body)
    assert (status, health["status"], health["ready"], health["healthy"]) == (503, "no camera", False, True)
    assert service.stop() == 0
    assert (service.config.parent / "state" / "shelf-1" / "starts").read_text() == "1\n"


def test_a_service_whose_frames_stop_is_unhealthy(service: Service, colour_bundle: Path) -> None:
    pytest.importorskip("prometheus_client")
    port = free_port()
    service.write(
        f"[camera]\nsource = 'synthetic:fps=20,silent-after=2'\n[model]\nbundle = '{colour_bundle}'\n[state]\ndir = 'state'\n"
        f"[metrics]\nlisten = '127.0.0.1:{port}'\nunhealthy_after_s = 1"
    )
    service.start()
    service.wait("a frame", lambda: observed(service) > 0)
    service.wait("the limit", lambda: json.loads(get(port, "/healthz")[1])["status"] == "stalled")
    assert "shelfcam_healthy 0.0" in get(port, "/metrics")[1]
    assert service.stop() == 0
