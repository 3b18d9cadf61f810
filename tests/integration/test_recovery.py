"""A network camera that goes and comes back, and one that stays away; a real process and a real server."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.errors import ExitCode
from tests.fakes.live_shelf import LiveShelf
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import patience_s, slowness
from tests.fakes.rtsp import RtspServer, why_not
from tests.fakes.service_process import Service


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (96, 128, 3), dtype=np.uint8)


def site(service: Service, bundle: Path, port: int, recovery: str) -> None:
    """Silence that ends a connection is longer than a busy machine pauses a process for."""
    second_ms = round(1_000 * slowness())
    service.write(
        f'[camera]\nname = "c"\nsource = "http://127.0.0.1:{port}/video"\ntimeout_ms = 200\nopen_timeout_ms = {3 * second_ms}\n'
        f'read_timeout_ms = {2 * second_ms}\n[model]\nbundle = "{bundle}"\n[state]\ndir = "state"\n'
        f"[recovery]\nstall_ms = {3 * second_ms}\n{recovery}"
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
        assert service.process.wait(patience_s()) == ExitCode.UNAVAILABLE, service.log.read_text()
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
    assert service.stop() == 0


def reasons(service: Service) -> list[str]:
    flags = [flag for event in service.events() if event["type"] == "recovery" for flag in event["flags"]]
    return [flag.removeprefix("reason=") for flag in flags if flag.startswith("reason=")]


def test_a_stream_that_stalls_in_the_middle_of_a_picture_is_opened_again(service: Service, colour_bundle: Path) -> None:
    """Each connection gives 20 pictures and half of one, then nothing, without closing."""
    with MjpegServer(picture, fps=20, stall_at=20) as server:
        site(service, colour_bundle, server.port, "reopens = 50\n")
        service.start()
        service.wait("two stalls", lambda: len(reasons(service)) >= 2)
        before = len(seqs(service))
        service.wait("frames of the third connection", lambda: len(seqs(service)) >= before + 3)
        assert server.stalled.is_set()
        assert service.stop() == 0
    assert all("the stream stalled" in reason for reason in reasons(service)), reasons(service)
    numbers = seqs(service)
    opened_again = [index for index, event in enumerate(service.events()) if event["type"] == "recovery"]
    between = service.events()[opened_again[0] : opened_again[1]]
    assert sum(event["kind"] == "observation" for event in between) <= 20, "half a picture is none"
    assert numbers == sorted(set(numbers))
    assert "recovered" not in service.types(), "twenty frames at each opening are no recovery"


def test_a_camera_that_comes_back_in_another_size_is_opened_again_until_it_has_its_own(
    service: Service, colour_bundle: Path, tmp_path: Path
) -> None:
    """Slots are places in pixels; what happened on the shelf meanwhile is told once they can be seen again."""
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    with shelf.serve() as server:
        port = server.port
        service.write(shelf.site(colour_bundle, server.url, "[recovery]\nreopens = 50"))
        service.start()
        service.wait("the shelf to be known", lambda: [e["slot"] for e in changes(service)] == ["B"])
    shelf.scale = 0.5
    other = "the camera came back with frames of 160×120 pixels instead of 320×240"
    with shelf.serve(port):
        service.wait("two openings", lambda: reasons(service).count(other) >= 2)
    shelf.scale = 1.0
    shelf.put("A", "blue")
    with shelf.serve(port):
        service.wait("what changed meanwhile", lambda: len(changes(service)) == 2)
        assert service.stop() == 0
    last = changes(service)[1]
    assert (last["type"], last["slot"], last["before"], last["after"]) == ("replaced", "A", "green", "blue")


def test_a_camera_that_keeps_another_size_ends_the_process_and_the_next_one_says_what_is_wrong(
    service: Service, colour_bundle: Path, tmp_path: Path
) -> None:
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    with shelf.serve() as server:
        port = server.port
        service.write(shelf.site(colour_bundle, server.url, "[recovery]\nreopens = 1"))
        service.start()
        service.wait("the shelf to be known", lambda: len(changes(service)) == 2)
    shelf.scale = 0.5
    with shelf.serve(port):
        assert service.process is not None
        assert service.process.wait(patience_s()) == ExitCode.UNAVAILABLE, "systemd starts it again"
        service.start()
        assert service.process.wait(patience_s()) == ExitCode.CONFIG, "and then no more"
    assert "is of 320×240 pixels, the camera gives 160×120" in service.log.read_text()
    assert len(changes(service)) == 2


def changes(service: Service) -> list[dict]:
    return [event for event in service.events() if event["kind"] == "event"]


def test_a_stream_that_changes_its_size_goes_on(service: Service, colour_bundle: Path) -> None:
    """FFmpeg's pictures are brought to the size of the first by OpenCV, within one connection."""
    grown = threading.Event()

    def growing(index: int) -> np.ndarray:
        return np.kron(picture(index), np.ones((2, 2, 1), dtype=np.uint8)) if grown.is_set() else picture(index)

    with MjpegServer(growing, fps=10) as server:
        site(service, colour_bundle, server.port, "reopens = 50\n")
        service.start()
        service.wait("frames", lambda: len(seqs(service)) >= 3)
        grown.set()
        before = len(seqs(service))
        service.wait("frames of the other size", lambda: len(seqs(service)) >= before + 10)
        assert service.stop() == 0
    assert service.types() == ["started", "stopped"]


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")
def test_an_rtsp_server_killed_twenty_times(service: Service, colour_bundle: Path) -> None:
    pattern = "videotestsrc is-live=true pattern=snow ! video/x-raw,width=128,height=96,framerate=10/1 ! videoconvert"
    with RtspServer(pattern) as server:
        service.write(
            f'[camera]\nname = "c"\nsource = "{server.url}"\ntimeout_ms = 200\nopen_timeout_ms = 10000\nread_timeout_ms = 5000\n'
            f'[model]\nbundle = "{colour_bundle}"\n[state]\ndir = "state"\n[recovery]\nreopens = 50\n'
        )
        service.start()
        service.wait("frames", lambda: len(seqs(service)) >= 5)
        for kill in range(1, 21):
            server.kill()
            told = service.types().count("recovery")
            service.wait(f"step after kill {kill}", lambda told=told: service.types().count("recovery") > told)
            before = len(seqs(service))
            server.start()
            service.wait(f"frames after kill {kill}", lambda before=before: len(seqs(service)) >= before + 5)
            service.wait(f"recovery {kill}", lambda kill=kill: service.types().count("recovered") == kill)
        assert service.stop() == 0
    numbers = seqs(service)
    assert numbers == sorted(set(numbers)), "no number twice"
    ids = [event["id"] for event in service.events()]
    assert ids == [f"c-{number:012d}" for number in range(1, len(ids) + 1)]
    assert service.types()[0] == "started"
    assert service.types()[-1] == "stopped"
    assert set(service.types()[1:-1]) == {"recovery", "recovered"}, "one process all the time"
