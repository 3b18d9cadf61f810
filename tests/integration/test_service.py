"""The service as a real process: its HTTP endpoint, and what signals do to it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.data import ShelfEvent
from tests.fakes.service_process import Service, free_port, get, metric, observed


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
    frames = metric(port, "shelfcam_frames_processed_total ")
    assert frames >= 3
    service.wait("their observations", lambda: observed(service) >= frames)
    assert 'shelfcam_stage_seconds_count{stage="inference"}' in text
    assert "process_resident_memory_bytes" in text
    assert "shelfcam_outbox_writable 1.0" in text
    service.wait("deliveries to be counted", lambda: metric(port, "shelfcam_sink_delivered_total{") >= 3)
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


def test_ready_follows_the_first_frame_of_a_real_camera(
    colour_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The synthetic camera passes for a real one. "started" is committed before the first frame, an observation with its frame."""
    pytest.importorskip("prometheus_client")
    from edge import site
    from edge.config import load_config
    from edge.run import run as run_camera
    from edge.sources.synthetic import SyntheticCamera

    class RealCamera(SyntheticCamera):
        simulated = False

    port = free_port()
    config = tmp_path / "shelf-1.toml"
    extra = f"[metrics]\nlisten = '127.0.0.1:{port}'\nunhealthy_after_s = 3600"
    config.write_text(f"config_version = 1\n{source(20, colour_bundle)}\n[[sink]]\nkind = 'jsonl'\npath = 'e.jsonl'\n{extra}\n")
    monkeypatch.setattr(site, "open_source", lambda *_, **__: RealCamera(fps=20.0))
    asked: list[tuple[int, str]] = []

    def watch(event: ShelfEvent) -> None:
        if event.kind == "observation" or event.type == "started":
            status, body = get(port, "/healthz")
            asked.append((status, json.loads(body)["status"]))

    run_camera(load_config(config), frames=20, watch=watch)
    assert asked[0] == (503, "starting")
    assert asked[1] == (200, "ok")


def source(fps: int, bundle: Path, extra: str = "", name: str = "shelf-1") -> str:
    return f"[camera]\nname = '{name}'\nsource = 'synthetic:fps={fps}'\n[model]\nbundle = '{bundle}'\n{extra}\n[state]\ndir = 'state'"


def test_a_new_config_is_taken_over_between_two_frames(service: Service, colour_bundle: Path, tmp_path: Path) -> None:
    from tests.fakes.tiny import write_colour_bundle

    other = write_colour_bundle(tmp_path / "other", {"onnx-z": (0, 1, 2)}).directory
    service.write(source(20, colour_bundle))
    service.start()
    service.wait("frames", lambda: observed(service) > 3)
    service.write(source(25, other))
    service.process.send_signal(signal.SIGHUP)
    service.wait("the new one", lambda: "reloaded" in service.types())
    before = observed(service)
    service.wait("frames of the new one", lambda: observed(service) > before + 3)
    pid = service.process.pid
    assert service.stop() == 0
    events = service.events()
    assert service.types() == ["started", "reloaded", "stopped"], "one process all the time"
    assert pid == service.process.pid
    ids = [event["id"] for event in events]
    assert ids == [f"shelf-1-{number:012d}" for number in range(1, len(ids) + 1)], "numbers go on without a gap"
    assert (events[0]["model"], events[-1]["model"]) == ("colour/onnx-a", "colour/onnx-z")
    assert events[-1]["flags"][0] == f"frames={observed(service)}", "counters are kept"


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("[camera]\nsuorce = 'x'", "'camera.suorce'"),
        ("[camera]\nname = 'shelf-1'\nsource = 'none.mp4'\n[state]\ndir = 'state'", "none.mp4"),
        ("[camera]\nname = 'other'\n[state]\ndir = 'state'", "camera.name cannot change"),
    ],
)
def test_a_wrong_config_is_refused_and_the_old_one_runs_on(service: Service, colour_bundle: Path, bad: str, named: str) -> None:
    service.write(source(20, colour_bundle))
    service.start()
    service.wait("frames", lambda: observed(service) > 3)
    service.write(bad)
    service.process.send_signal(signal.SIGHUP)
    service.wait("the refusal", lambda: "reload_refused" in service.types())
    before = observed(service)
    service.wait("frames of the old one", lambda: observed(service) > before + 3)
    assert service.stop() == 0
    refusal = next(event for event in service.events() if event["type"] == "reload_refused")
    assert named in refusal["flags"][0]
    assert "the old one runs on" in service.log.read_text()
    assert service.types() == ["started", "reload_refused", "stopped"]
    assert {event["model"] for event in service.events()} == {"colour/onnx-a"}


def test_a_config_that_checks_well_but_cannot_be_built_gives_way_to_the_old_one(
    service: Service, colour_bundle: Path, tmp_path: Path
) -> None:
    """A picture's place with something else in it: only opening the source finds out."""
    service.write(source(20, colour_bundle))
    service.start()
    service.wait("frames", lambda: observed(service) > 3)
    (tmp_path / "shelf.png").write_bytes(b"no picture")
    service.write(source(20, colour_bundle).replace("synthetic:fps=20", "shelf.png"))
    service.process.send_signal(signal.SIGHUP)
    service.wait("the refusal", lambda: "reload_refused" in service.types())
    before = observed(service)
    service.wait("frames of the old one", lambda: observed(service) > before + 3)
    assert service.stop() == 0
    assert "shelf.png" in next(event for event in service.events() if event["type"] == "reload_refused")["flags"][0]


def test_many_signals_at_once_end_in_order(service: Service, colour_bundle: Path) -> None:
    service.write(source(50, colour_bundle))
    service.start()
    service.wait("frames", lambda: observed(service) > 3)
    for _ in range(20):
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    service.wait("a reload", lambda: "reloaded" in service.types())
    service.process.send_signal(signal.SIGHUP)
    assert service.stop() == 0
    ids = [event["id"] for event in service.events()]
    assert ids == [f"shelf-1-{number:012d}" for number in range(1, len(ids) + 1)]
    assert service.types()[-1] == "stopped"
