"""What ``shelfcam run --show`` says of an event."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from edge.commands.run import line_of
from edge.data import Score, ShelfEvent

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def event(kind: str, **changes: object) -> ShelfEvent:
    known = {"id": "cam-1", "camera": "cam", "slot": "A1", "seq": 7, "captured_utc": AT, "bundle": "b", "model": "m"}
    return ShelfEvent(kind=kind, **{**known, "simulated": False, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type_", "before", "after", "became"),
    [
        ("taken", "soup", None, "soup"),
        ("taken", None, None, "a product not known"),
        ("returned", None, "soup", "soup"),
        ("replaced", "soup", "tea", "now tea"),
        ("empty", "soup", None, "was soup"),
        ("unknown", "soup", None, "now a product not known"),
    ],
)
def test_what_became_of_a_slot(type_: str, before: str | None, after: str | None, became: str) -> None:
    local = AT.astimezone().strftime("%H:%M:%S")
    line = line_of(event("event", type=type_, before=before, after=after, flags=("clock_unsynced",)))
    assert line.split(maxsplit=3) == [local, "A1", type_, became]


def test_marks_stand_behind_it() -> None:
    line = line_of(event("event", type="replaced", after="tea", flags=("misplaced",), simulated=True))
    assert line.endswith("now tea (misplaced, simulated)")


def test_the_view_and_the_service_are_shown_with_their_flags() -> None:
    line = line_of(event("status", slot=None, seq=None, type="view", flags=("moved", "shift_px=12,?")))
    assert line.split()[1:] == ["view", "moved", "shift_px=12,?"]


def test_an_observation_is_shown_with_its_best_classes() -> None:
    line = line_of(
        event("observation", slot="frame", top=(Score("tea", 1, 0.5), Score("soup", 0, 0.25)), flags=("file=a/b.png",))
    )
    assert line.split() == ["7", "b.png", "tea", "0.50,", "soup", "0.25"]
