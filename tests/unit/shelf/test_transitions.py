"""Transitions of a slot, by example and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.data import SlotReport, Transition
from edge.shelf.transitions import Look, SlotState, learn, report

NOTHING = Look(empty=True, label="", score=0.0, same=False, back=False, seen=True)


def product(label: str, score: float = 0.9, *, same: bool = False, back: bool = False, seen: bool = True) -> Look:
    return Look(empty=False, label=label, score=score, same=same, back=back, seen=seen)


MILK, EMPTY = SlotState("product", "milk", "milk"), SlotState("empty", None, "milk")


@pytest.mark.parametrize(
    ("state", "look", "change", "holds"),
    [
        (SlotState(), product("milk"), None, "product"),
        (SlotState(), NOTHING, Transition("empty", None, None), "empty"),
        (MILK, NOTHING, Transition("taken", "milk", None), "empty"),
        (
            MILK,
            Look(empty=True, label="", score=0, same=False, back=False, seen=False),
            Transition("empty", "milk", None),
            "empty",
        ),
        (MILK, product("juice"), Transition("replaced", "milk", "juice"), "product"),
        (MILK, product("juice", 0.4, same=True), None, "product"),  # the classifier wavers
        (MILK, product("milk", 0.8), None, "product"),  # nudged: it looks otherwise, and is the same
        (
            MILK,
            product("milk", 0.2),
            Transition("replaced", "milk", "milk"),
            "product",
        ),  # the label is a guess, the looks are not
        (MILK, product("juice", 0.01), Transition("unknown", "milk", None), "product"),
        (EMPTY, product("milk", 0.9), Transition("returned", None, "milk"), "product"),
        (EMPTY, product("juice", 0.9, back=True), Transition("returned", None, "milk"), "product"),  # likeness, not the label
        (EMPTY, product("milk", 0.2), Transition("replaced", None, "milk"), "product"),
        (EMPTY, product("juice"), Transition("replaced", None, "juice"), "product"),
        (EMPTY, product("juice", 0.01), Transition("unknown", None, None), "product"),
        (EMPTY, NOTHING, None, "empty"),
    ],
)
def test_transitions(state, look, change, holds):
    after, told = learn(state, look, 0.05)
    assert told == change
    assert after.holds == holds


looks = st.builds(
    Look,
    empty=st.booleans(),
    label=st.sampled_from(["milk", "juice", "tea"]),
    score=st.floats(0, 1),
    same=st.booleans(),
    back=st.booleans(),
    seen=st.booleans(),
)


@given(st.lists(looks, max_size=30))
def test_events_tell_the_whole_story(sequence):
    """Whoever follows the events knows at each moment what the slot holds."""
    state, believed, last = SlotState(), None, None
    for look in sequence:
        before = state
        state, change = learn(state, look, 0.05)
        if change is None:
            assert (state.holds == "empty") == (before.holds == "empty") or before.holds == "unknown"
        else:
            assert change.before == (believed if before.holds != "unknown" else None) or before.label == change.before
            assert (change.kind in ("taken", "empty")) == (state.holds == "empty")
            assert change.kind != "taken" or (before.holds == "product" and look.seen)
            assert change.kind != "returned" or (before.holds == "empty" and change.after in (last, look.label))
            assert change.after == state.label
        believed = state.label
        last = state.label or last
        assert learn(state, NOTHING, 0.05)[1] is None or state.holds != "empty", "an empty slot is emptied once"


JUICE = SlotState("product", "juice", "juice")


@pytest.mark.parametrize(
    ("state", "look", "after"),
    [
        (SlotState(), product("milk"), MILK),
        (SlotState(), product("milk", 0.01), SlotState("product", None, None)),
        (SlotState(), NOTHING, SlotState("empty", None, None)),
        (SlotState("unknown", None, "milk"), product("tea", 0.01), SlotState("product", None, "milk")),
        (MILK, NOTHING, EMPTY),
        (SlotState("product", None, "milk"), NOTHING, EMPTY),
        (SlotState("product", "juice", "milk"), NOTHING, SlotState("empty", None, "juice")),
        (MILK, product("juice"), JUICE),
        (MILK, product("juice", 0.9, same=True), MILK),
        (MILK, product("juice", 0.01), SlotState("product", None, "milk")),
        (EMPTY, NOTHING, EMPTY),
        (EMPTY, product("milk"), MILK),
        (EMPTY, product("juice"), JUICE),
        (EMPTY, product("juice", 0.01), SlotState("product", None, "milk")),
        (EMPTY, product("juice", back=True), MILK),
        (SlotState("empty", None, None), product("juice", back=True), JUICE),
    ],
)
def test_what_is_known_afterwards(state: SlotState, look: Look, after: SlotState) -> None:
    assert learn(state, look, 0.05)[0] == after


@pytest.mark.parametrize(("score", "known"), [(0.04, None), (0.05, "milk"), (0.06, "milk")])
def test_from_the_least_score_on_a_product_is_known(score: float, known: str | None) -> None:
    assert learn(SlotState(), product("milk", score), 0.05)[0].label == known


@pytest.mark.parametrize(("score", "sure"), [(0.49, False), (0.5, True), (0.51, True)])
@pytest.mark.parametrize(("state", "told"), [(MILK, None), (EMPTY, Transition("returned", None, "milk"))])
def test_a_label_alone_tells_the_same_thing_from_one_half_on(score: float, sure: bool, state, told) -> None:
    replaced = Transition("replaced", state.label, "milk")
    assert learn(state, product("milk", score), 0.05)[1] == (told if sure else replaced)


def test_two_things_that_nobody_knows_are_not_the_same() -> None:
    unknown = SlotState("product", None, None)
    assert learn(unknown, product("tea", 0.6), 0.7) == (unknown, Transition("unknown", None, None))
    gone = SlotState("empty", None, None)
    assert learn(gone, product("tea", 0.6), 0.7) == (unknown, Transition("unknown", None, None))


@pytest.mark.parametrize(
    ("state", "expected", "reported"),
    [
        (SlotState(), "milk", SlotReport(name="A1", holds="unknown", reason="not_looked_at")),
        (SlotState("empty", None, "milk"), "milk", SlotReport(name="A1", holds="empty")),
        (SlotState("product", None, "milk"), "milk", SlotReport(name="A1", holds="unknown", reason="not_recognised")),
        (SlotState("product", "milk", "milk"), "milk", SlotReport(name="A1", holds="product", label="milk")),
        (SlotState("product", "milk", "milk"), None, SlotReport(name="A1", holds="product", label="milk")),
        (SlotState("product", "milk", "milk"), "tea", SlotReport(name="A1", holds="product", label="milk", misplaced=True)),
    ],
)
def test_what_is_reported_of_a_state(state: SlotState, expected: str | None, reported: SlotReport) -> None:
    assert report("A1", state, expected) == reported
    assert report("A1", state, expected, "dark") == SlotReport(name="A1", holds="unknown", reason="dark"), "whatever it holds"
