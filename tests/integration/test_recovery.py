"""A network camera that goes and comes back, and one that stays away; a real process and a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.errors import ExitCode
from tests.fakes.mjpeg import MjpegServer
from tests.integration.test_service import Service


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (96, 128, 3), dtype=np.uint8)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def site(service: Service, bundle: Path, port: int, recovery: str) -> None:
    service.write(
        f'[camera]\nname = "c"\nsource = "http://127.0.0.1:{port}/video"\ntimeout_ms = 200\nopen_timeout_ms = 3000\n'
        f'read_timeout_ms = 2000\n[model]\nbundle = "{bundle}"\n[state]\ndir = "state"\n[recovery]\nstall_ms = 3000\n{recovery}'
    )


def seqs(service: Service) -> list[int]:
    return [event["seq"] for event in service.events() if event["kind"] == "observation"]


def test_a_camera_that_goes_and_comes_back_is_opened_again(service: Service, colour_bundle: Path) -> None:
    with MjpegServer(picture, fps=10) as first:
        site(service, colour_bundle, first.port, "reopens = 50\n")
        service.start()
        service.wait("frames", lambda: len(seqs(service)) >= 3)
        port = first.port
    service.wait("a step of the ladder", lambda: "recovery" in service.types())
    before = len(seqs(service))
    with MjpegServer(picture, fps=10, port=port):
        service.wait("frames again", lambda: len(seqs(service)) >= before + 3)
        service.wait("the recovery to be told", lambda: "recovered" in service.types())
        assert service.stop() == 0
    numbers = seqs(service)
    assert numbers == sorted(set(numbers)), "no number twice"
    ids = [event["id"] for event in service.events()]
    assert ids == sorted(set(ids))
    step = next(event for event in service.events() if event["type"] == "recovery")
    assert step["flags"][0] == "reopen"
    assert any(flag.startswith("reason=") for flag in step["flags"])
    assert not (service.config.parent / "state" / "c" / "recovery.json").read_text().count('"tries":1')


def test_a_camera_that_stays_away_ends_the_process_and_the_next_one_goes_on_from_there(
    service: Service, colour_bundle: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site(service, colour_bundle, port, "reopens = 1\n")
    pauses = []
    for _ in range(2):
        service.start()
        assert service.process is not None
        assert service.process.wait(120) == ExitCode.UNAVAILABLE, service.log.read_text()
        steps = [event["flags"] for event in service.events() if event["type"] == "recovery"]
        pauses.append(float(next(flag for flag in steps[-2] if flag.startswith("wait_s=")).removeprefix("wait_s=")))
    assert [flags[0] for flags in steps] == ["reopen", "leave", "reopen", "leave"]
    assert pauses[1] > pauses[0]
    assert f"127.0.0.1:{port}" in service.log.read_text()


def test_it_stops_at_once_while_it_waits(service: Service, colour_bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    site(service, colour_bundle, port, "reopens = 50\n")
    service.start()
    service.wait("long pauses", lambda: service.types().count("recovery") >= 3)
    start = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - start < 60
