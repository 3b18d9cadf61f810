"""What is published for an event, and what is retained."""

from __future__ import annotations

import json

import msgspec
import pytest

from edge.data import SlotReport
from edge.sinks.topics import Publication, Topics
from tests.fakes.events import make_event

TOPICS = Topics("shelfcam", "cam", None)


def status(number: int, type_: str, *flags: str, slots: tuple[SlotReport, ...] = ()):
    return msgspec.structs.replace(make_event(number, "status"), type=type_, flags=flags, slots=slots)


def unknown(name: str, reason: str) -> SlotReport:
    return SlotReport(name=name, holds="unknown", reason=reason)


MILK, NOTHING = SlotReport(name="A1", holds="product", label="milk"), SlotReport(name="A1", holds="empty")


def states(messages: list[Publication]) -> dict[str, tuple]:
    """Slot → (label, type, reason, flags) of the retained states among ``messages``."""
    found = {}
    for message in messages:
        if message.topic.startswith("shelfcam/cam/state/"):
            assert message.retain
            state = json.loads(message.payload)
            found[message.topic.rpartition("/")[2]] = (state["label"], state["type"], state["reason"], state["flags"])
    return found


def test_a_bad_view_makes_every_slot_unknown_and_a_clear_one_says_what_they_hold() -> None:
    known: dict[str, str | None] = {}
    list(TOPICS.of(make_event(1, slot="A1"), known))
    bad = list(
        TOPICS.of(status(2, "view", "covered", slots=tuple(unknown(name, "covered") for name in ("A1", "A2", "A3"))), known)
    )
    assert bad[0].topic == "shelfcam/cam/events/status"
    assert states(bad) == {slot: (None, "unknown", "covered", ["covered"]) for slot in ("A1", "A2", "A3")}
    tea = SlotReport(name="A2", holds="product", label="tea", misplaced=True)
    slots = (MILK, tea, SlotReport(name="A3", holds="empty"), unknown("A4", "not_recognised"))
    clear = status(3, "view", "clear", slots=slots)
    assert states(list(TOPICS.of(clear, known))) == {
        "A1": ("milk", None, None, ["clear"]),
        "A2": ("tea", None, None, ["clear", "misplaced"]),
        "A3": (None, None, None, ["clear"]),
        "A4": (None, "unknown", "not_recognised", ["clear"]),
    }
    assert known == {"A1": "milk", "A2": "tea", "A3": None, "A4": None}
    again = make_event(4, "observation", slot="A1")
    assert states(list(TOPICS.of(again, known))) == {}, "the label is what was published last"


@pytest.mark.parametrize("event", [status(1, "started", "onnx-int8", "why"), status(1, "view", "dark")])
def test_other_status_events_touch_no_state(event) -> None:
    assert [message.topic for message in TOPICS.of(event, {})] == ["shelfcam/cam/events/status"]


def test_home_assistant_hears_of_a_slot_before_its_first_state_and_shows_unknown_as_such() -> None:
    topics = Topics("shelfcam", "cam", "homeassistant")
    known: dict[str, str | None] = {}
    first = list(topics.of(status(1, "view", "dark", slots=(unknown("A1", "dark"),)), known))
    assert [(m.topic, m.retain) for m in first[1:]] == [
        ("homeassistant/sensor/shelfcam_cam_A1/config", True),
        ("shelfcam/cam/state/A1", True),
    ]
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Template(json.loads(first[1].payload)["value_template"])
    shown = [template.render(value_json=json.loads(first[2].payload))]
    for report in (MILK, NOTHING):
        (_, state) = topics.of(status(2, "view", "clear", slots=(report,)), known)
        shown.append(template.render(value_json=json.loads(state.payload)))
    assert shown == ["unknown", "milk", "empty"]
