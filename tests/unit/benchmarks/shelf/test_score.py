"""Scoring: each true event once, in its time; the rest was invented."""

from __future__ import annotations

from datetime import datetime, timezone

from benchmarks.shelf.score import score
from edge.data import ShelfEvent
from edge.scene.script import Action, Script

UTC = datetime(2026, 1, 1, tzinfo=timezone.utc)
SCRIPT = Script(
    {"A": "milk", "B": "tea"},
    (Action(5, "take", "A"), Action(20, "return", "A", "milk"), Action(30, "cover", last_s=10), Action(33, "take", "B")),
    60,
)


def said(at_s: float, type_: str, slot: str | None, after: str | None = None, *flags: str) -> tuple[float, ShelfEvent]:
    event = ShelfEvent(
        kind="status" if slot is None else "event",
        id="x",
        camera="c",
        slot=slot,
        seq=0,
        captured_utc=UTC,
        type=type_,
        after=after,
        flags=flags,
        bundle="b",
        model="m",
        simulated=True,
    )
    return at_s, event


RIGHT = [
    said(6.5, "taken", "A"),
    said(21.8, "returned", "A", "milk"),
    said(32, "view", None, None, "covered"),
    said(41, "view", None, None, "clear"),
    said(41.5, "empty", "B"),
]


def test_all_right():
    found = score(SCRIPT, RIGHT, 0.8)
    assert (found.true, found.reported, found.right, found.named) == (3, 3, 3, 3)
    assert (found.faults, found.faults_reported, found.false_faults, found.false_empties) == (1, 1, 0, 0)
    assert (found.missed, found.invented, found.unseen) == ((), (), ())


def test_too_late_is_missed_and_invented():
    found = score(SCRIPT, [said(8.0, "taken", "A"), *RIGHT[1:]], 0.8)
    assert (found.right, len(found.missed), len(found.invented)) == (2, 1, 1)


def test_twice_is_invented_once_and_a_wrong_slot_or_kind_is_not_right():
    found = score(SCRIPT, [*RIGHT, said(6.6, "taken", "A")], 0.8)
    assert (found.right, found.reported, len(found.invented)) == (3, 4, 1)
    assert score(SCRIPT, [said(6.5, "taken", "B"), *RIGHT[1:]], 0.8).right == 2
    assert score(SCRIPT, [said(6.5, "replaced", "A", "tea"), *RIGHT[1:]], 0.8).right == 2


def test_a_wrong_label_is_right_but_not_named_and_unknown_is_right_for_a_product():
    assert score(SCRIPT, [RIGHT[0], said(21.8, "returned", "A", "juice"), *RIGHT[2:]], 0.8).named == 2
    assert score(SCRIPT, [RIGHT[0], said(21.8, "unknown", "A"), *RIGHT[2:]], 0.8).right == 3
    assert score(SCRIPT, [said(6.5, "unknown", "A"), *RIGHT[1:]], 0.8).right == 2


def test_late_missing_and_false_faults_and_lies():
    late = score(SCRIPT, [*RIGHT[:2], said(36, "view", None, None, "covered"), *RIGHT[3:]], 0.8)
    assert (late.faults_reported, len(late.unseen)) == (0, 1)
    false = score(SCRIPT, [*RIGHT, said(50, "view", None, None, "dark")], 0.8)
    assert false.false_faults == 1
    assert score(SCRIPT, [*RIGHT, said(35, "empty", "B")], 0.8).false_empties == 1
