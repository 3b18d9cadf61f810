"""Another model takes the place of the one that runs, between two frames: camera, outbox and what the shelf knows stay as they are."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.bundle.reader import open_bundle
from edge.config import load_config, state_directory
from tests.fakes.live_shelf import LiveShelf
from tests.fakes.service_process import Service
from tests.fakes.tiny import write_colour_bundle


@pytest.fixture
def other_bundle(tmp_path: Path) -> Path:
    return write_colour_bundle(tmp_path / "other", {"onnx-z": (0, 1, 2)}).directory


def changes(service: Service) -> list[dict]:
    return [event for event in service.events() if event["kind"] == "event"]


def reports(service: Service, type_: str) -> list[dict]:
    """What slots hold, by name, of each status event of that type."""
    events = [event for event in service.events() if event["type"] == type_]
    return [{slot["name"]: slot.get("label") or slot["holds"] for slot in event["slots"]} for event in events]


def remembered(service: Service) -> tuple[str, str | None]:
    """As stored: whose labels they are (a bundle's hash), and what slot A holds."""
    path = state_directory(load_config(service.config)) / "outbox.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        bundle, body = db.execute("SELECT bundle, body FROM snapshot").fetchone()
    return bundle, json.loads(body)["slots"]["A"]["label"]


def reload(service: Service, config: str) -> None:
    assert service.process is not None
    service.write(config)
    service.process.send_signal(signal.SIGHUP)


def test_camera_and_outbox_stay_open_and_the_shelf_learns_what_the_new_model_calls_it(
    service: Service, colour_bundle: Path, other_bundle: Path, tmp_path: Path
) -> None:
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    with shelf.serve() as camera:
        service.write(shelf.site(colour_bundle, camera.url))
        service.start()
        service.wait("the shelf to be known", lambda: len(changes(service)) == 1 and reports(service, "slots"))
        reload(service, shelf.site(other_bundle, camera.url))
        service.wait("the new model", lambda: "reloaded" in service.types())
        service.wait("what it calls the shelf", lambda: len(reports(service, "slots")) == 2)
        shelf.put("A", None)
        service.wait("a change", lambda: len(changes(service)) == 2)
        assert service.stop() == 0
        assert camera.opened == 1, "the camera is opened once"
    events = service.events()
    assert service.types() == ["started", "slots", "reloaded", "slots", "stopped"]
    assert reports(service, "slots") == [{"A": "green"}] * 2, "the empty slot stays empty without a word"
    assert [event["id"] for event in events] == [f"c-{number:012d}" for number in range(1, len(events) + 1)]
    by_model = {event["type"]: event["model"] for event in events}
    assert (by_model["started"], by_model["taken"]) == ("colour/onnx-a", "colour/onnx-z")
    bundles = {event["bundle"] for event in events}
    assert len(bundles) == 2, "an event names the bundle that answered"


def test_one_that_fails_its_gate_on_this_machine_is_refused_while_the_old_one_answers(
    service: Service, colour_bundle: Path, tmp_path: Path
) -> None:
    wrong = write_colour_bundle(tmp_path / "wrong", {"wrong": (1, 2, 0)}).directory
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    with shelf.serve() as camera:
        service.write(shelf.site(colour_bundle, camera.url))
        service.start()
        service.wait("both to be known as empty", lambda: len(changes(service)) == 2)
        reload(service, shelf.site(wrong, camera.url))
        service.wait("the refusal", lambda: "reload_refused" in service.types())
        shelf.put("B", "blue")
        service.wait("a change", lambda: len(changes(service)) == 3)
        assert service.stop() == 0
        assert camera.opened == 1
    (refusal,) = (event for event in service.events() if event["type"] == "reload_refused")
    assert "colour/wrong does not pass its gate here: logit cosine" in refusal["flags"][0]
    assert {event["model"] for event in service.events()} == {"colour/onnx-a"}
    assert changes(service)[-1]["after"] == "blue"


def test_a_kill_at_any_point_of_it_leaves_one_of_both_running(
    service: Service, colour_bundle: Path, other_bundle: Path, tmp_path: Path
) -> None:
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    bundles = [colour_bundle, other_bundle]
    with shelf.serve() as camera:
        service.write(shelf.site(colour_bundle, camera.url))
        service.start()
        service.wait("the shelf to be known", lambda: len(changes(service)) == 1 and reports(service, "slots"))
        for round_, frames in enumerate((0, 2, 5, 10, 20, 40)):
            at = camera.sent
            reload(service, shelf.site(bundles[(round_ + 1) % 2], camera.url))
            service.wait("some frames", lambda at=at, frames=frames: camera.sent >= at + frames)
            service.end()
            service.start()
            service.wait("the next start", lambda round_=round_: service.types().count("started") == round_ + 2)
        # one that had not learned yet what stands there learns it in silence: until it has, nobody can say what was taken
        runs = open_bundle(bundles[6 % 2]).sha256
        service.wait("what stands there", lambda: remembered(service) == (runs, "green"))
        shelf.put("A", None)
        service.wait("a change", lambda: len(changes(service)) == 2)
        assert service.stop() == 0
    first, last = changes(service)
    assert (first["type"], first["slot"], last["slot"], last["before"]) == ("empty", "B", "A", "green")
    assert last["type"] in ("taken", "empty"), "empty: it went before the slot was looked at again"
    numbers = [int(event["id"].rpartition("-")[2]) for event in service.events()]
    assert numbers == sorted(set(numbers)), "no number is used twice"
