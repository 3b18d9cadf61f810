"""A board that gets hot under the running service, and cools down: a real process, a real camera's stream, the kernel's own files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("prometheus_client")

from tests.fakes.hot_board import Board, why_not
from tests.fakes.live_shelf import LiveShelf
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import slowness
from tests.fakes.service_process import Service, free_port, get, metric, observed

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (96, 128, 3), dtype=np.uint8)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board", celsius=60.0)


def start(service: Service, board: Board, bundle: Path, source: str, port: int, more: str = "") -> None:
    service.write(
        f"[camera]\nname = 'c'\nsource = '{source}'\nfrozen_ms = 2000\n[model]\nbundle = '{bundle}'\n[state]\ndir = 'state'\n"
        f"[metrics]\nlisten = '127.0.0.1:{port}'\nunhealthy_after_s = 10\n{more}"
    )
    service.start(board.around)
    service.wait("frames", lambda: observed(service) > 3)


def steps(service: Service) -> list[list[str]]:
    return [event["flags"] for event in service.events() if event["type"] == "thermal"]


def test_a_board_that_gets_hot_runs_slower_says_so_and_is_well(service: Service, board: Board, colour_bundle: Path) -> None:
    port = free_port()
    with MjpegServer(picture, fps=20) as server:
        start(service, board, colour_bundle, server.url, port)
        assert (metric(port, "shelfcam_rate "), steps(service)) == (1.0, [])
        board.heat(86.0)
        service.wait("the step", lambda: steps(service))
        assert steps(service)[0] == [
            "rate=0.5",
            "celsius=86.0",
            "limit_c=90",
            "zone=tj-thermal",
            "reason=within 5 °C of throttling",
        ]
        before = observed(service)
        service.wait("frames to be held back", lambda: metric(port, "shelfcam_frames_held_total ") > 20)
        service.wait("frames to go on", lambda: observed(service) > before + 5)
        status, body = get(port, "/healthz")
        health = json.loads(body)
        assert (status, health["status"], health["signs"]["rate"]) == (200, "ok", 0.5)
        assert "0.5 of the full rate: tj-thermal 86.0 °C of 90 °C" in health["reason"]
        assert metric(port, 'shelfcam_rate_steps_total{direction="down"}') == 1
        assert service.stop() == 0
    assert service.types() == ["started", "thermal", "stopped"], "neither stalled nor frozen"
    assert "no frame" not in service.log.read_text()


@pytest.mark.slow
def test_a_board_that_throttles_all_the_same_goes_down_to_a_quarter_and_back_when_it_has_cooled(
    service: Service, board: Board, colour_bundle: Path
) -> None:
    port = free_port()
    with MjpegServer(picture, fps=20) as server:
        start(service, board, colour_bundle, server.url, port)
        board.throttle(3)
        service.wait("both steps", lambda: len(steps(service)) == 2)
        assert [flags[0] for flags in steps(service)] == ["rate=0.5", "rate=0.25"]
        assert steps(service)[1][-1] == "reason=throttled: cpufreq"
        board.throttle(0)
        service.wait("the first step up", lambda: len(steps(service)) == 3)
        service.wait("the second", lambda: len(steps(service)) == 4)
        assert [flags[0] for flags in steps(service)[2:]] == ["rate=0.5", "rate=1"]
        assert steps(service)[3][-1] == "reason=cool for 60 s"
        assert metric(port, "shelfcam_rate ") == 1
        held = metric(port, "shelfcam_frames_held_total ")
        before = observed(service)
        service.wait("frames", lambda: observed(service) > before + 40)
        assert metric(port, "shelfcam_frames_held_total ") == held, "at full rate none is held back"
        assert get(port, "/healthz")[0] == 200
        assert service.stop() == 0


def test_a_shelf_is_watched_all_the_same(service: Service, board: Board, colour_bundle: Path, tmp_path: Path) -> None:
    """At half of two frames a second a change still rests for its dwell, and no frame that was held back counts as silence."""
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    board.heat(95.0)

    def told() -> list[tuple[str, str]]:
        return [(event["type"], event["slot"]) for event in service.events() if event["kind"] == "event"]

    with shelf.serve(fps=2 / slowness()) as server:  # frames come each 0.5 s, and go on each 1.0: both are scaled
        service.write(shelf.site(colour_bundle, server.url, timeout_ms=900))
        service.start(board.around)
        service.wait("the shelf to be known, and the rate to be lowered", lambda: len(told()) == 1 and steps(service))
        shelf.put("A", None)
        service.wait("the theft", lambda: len(told()) == 2)
        shelf.put("B", "blue")
        service.wait("the new good", lambda: len(told()) == 3)
        assert service.stop() == 0
    assert told() == [("empty", "B"), ("taken", "A"), ("replaced", "B")]


def test_what_is_switched_off_or_no_camera_runs_at_full_rate(service: Service, board: Board, colour_bundle: Path) -> None:
    board.heat(100.0)
    port = free_port()
    with MjpegServer(picture, fps=20) as server:
        start(service, board, colour_bundle, server.url, port, "[thermal]\nenabled = false")
        service.wait("many frames", lambda: observed(service) > 40)
        assert metric(port, "shelfcam_temperature_celsius{") == 100
        assert (metric(port, "shelfcam_rate "), metric(port, "shelfcam_frames_held_total ")) == (1.0, 0.0)
        assert service.stop() == 0
    assert steps(service) == []


def test_the_site_s_own_limit(service: Service, board: Board, colour_bundle: Path) -> None:
    port = free_port()
    with MjpegServer(picture, fps=20) as server:
        start(service, board, colour_bundle, server.url, port, "[thermal]\nlimit_c = 64")
        service.wait("the step", lambda: steps(service))
        assert service.stop() == 0
    assert steps(service)[0][:3] == ["rate=0.5", "celsius=60.0", "limit_c=64"]
