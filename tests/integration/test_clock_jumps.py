"""The wall clock is put forward and back by an hour under the running service: a real process whose time of day a library changes."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.fakes.live_shelf import LiveShelf
from tests.fakes.receivers import HttpReceiver
from tests.fakes.service_process import Service
from tests.fakes.wall_clock import WallClock, library

pytestmark = pytest.mark.skipif(library() is None, reason="libfaketime is not installed (Debian package libfaketime)")

HOUR_S = 3_600


def changes(service: Service) -> list[dict]:
    return [event for event in service.events() if event["kind"] == "event"]


def hours_off(event: dict) -> int:
    """Of the event's time, from this machine's."""
    at = datetime.fromisoformat(event["captured_utc"].replace("Z", "+00:00"))
    return round((at - datetime.now(timezone.utc)).total_seconds() / HOUR_S)


def delivered(service: Service, receiver: HttpReceiver) -> int:
    """Changes that both sinks have."""
    return len({event["id"] for event in changes(service)} & set(receiver.ids()))


def test_jumps_of_an_hour_change_what_is_dated_and_nothing_else(service: Service, colour_bundle: Path, tmp_path: Path) -> None:
    shelf, clock = LiveShelf(), WallClock(tmp_path)
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    moves = [(1, "A", None), (-1, "A", "green"), (0, "B", "blue"), (-1, "B", None), (1, "A", None)]
    with shelf.serve() as server, HttpReceiver() as receiver:
        sink = f"[[sink]]\nkind = 'webhook'\nurl = 'http://127.0.0.1:{receiver.port}/'\n[[sink]]\nkind = 'jsonl'\npath = 'events.jsonl'"
        service.write(shelf.site(colour_bundle, server.url, f"[outbox]\nmax_age_days = 1\n{sink}"))
        service.start(own_sinks=True, **clock.env)
        service.wait("the shelf to be known", lambda: len(changes(service)) == 1)
        for number, (hours, slot, good) in enumerate(moves, start=2):
            shelf.put(slot, good)
            clock.jump(hours * HOUR_S)  # while the change has to rest for its dwell
            service.wait(f"change {number}", lambda number=number: delivered(service, receiver) >= number)
        stamps = [int(headers["X-Shelfcam-Timestamp"]) for _, headers, _ in receiver.requests]
        assert service.stop() == 0
    assert [(e["type"], e["slot"]) for e in changes(service)] == [
        ("empty", "B"),
        ("taken", "A"),
        ("returned", "A"),
        ("replaced", "B"),
        ("taken", "B"),
        ("taken", "A"),
    ], "each change once, whatever the time of day"
    assert [hours_off(event) for event in changes(service)] == [0, *(hours for hours, _, _ in moves)], "dated as the clock said"
    assert {round((stamp - stamps[0]) / HOUR_S) for stamp in stamps} == {-1, 0, 1}, "so is a request, at its try"
    ids = [event["id"] for event in service.events()]
    assert ids == [f"c-{number:012d}" for number in range(1, len(ids) + 1)], "the order is that of the counter"
    assert receiver.ids() == ids, "everything is delivered once and in order; nothing was taken to be too old"
    assert "events_lost" not in service.types()
    assert "recovery" not in service.types(), "nothing looked stalled"
