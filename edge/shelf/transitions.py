"""What a slot holds, and which event a change of it is. Pure: looks and times come in, states and transitions go out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.data import Holds, SlotReport, Transition

NOT_LOOKED_AT, NOT_RECOGNISED = "not_looked_at", "not_recognised"
"""Why a slot in clear view holds nobody knows what: it has not rested yet since the start, or the model does not know the product."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one settled look at a slot found.

    ``empty``: it looks as the empty slot does. ``label`` and ``score``: the model's best class. ``same``: it looks like what the slot
    holds; ``back``: it looks like what the slot held last. ``seen``: the camera saw the slot all the time since the look before.
    """

    empty: bool
    label: str
    score: float
    same: bool
    back: bool
    seen: bool


@dataclass(frozen=True, slots=True)
class SlotState:
    """``label``: of the product, if it is known; ``last``: of the last product that was there, for telling a return."""

    holds: Holds = "unknown"
    label: str | None = None
    last: str | None = None


def learn(state: SlotState, look: Look, min_score: float) -> tuple[SlotState, Transition | None]:
    """The state after ``look``, and the event, if it is one.

    A slot that nothing is known of learns silently, but for one that is found empty. A look like the one before changes no more
    than the label's score: a classifier that wavers makes no events.
    """
    label = look.label if look.score >= min_score else None
    if look.empty:
        return _emptied(state, look)
    filled = SlotState("product", label, label or state.last)
    if state.holds == "unknown":
        return filled, None
    if state.holds == "empty":
        if look.back or (label is not None and label == state.last and look.score >= _SURE):
            known = state.last or label
            return SlotState("product", known, known), Transition("returned", None, known)
        return filled, Transition("unknown" if label is None else "replaced", None, label)
    if look.same or (label is not None and label == state.label and look.score >= _SURE):
        return state, None
    return filled, Transition("unknown" if label is None else "replaced", state.label, label)


def _emptied(state: SlotState, look: Look) -> tuple[SlotState, Transition | None]:
    if state.holds == "empty":
        return state, None
    now = replace(state, holds="empty", label=None, last=state.label or state.last)
    if state.holds == "product" and look.seen:
        return now, Transition("taken", state.label, None)
    return now, Transition("empty", state.label, None)


_SURE = 0.5
"""A label alone, without likeness, tells from this score on that a thing is the same."""


def report(name: str, state: SlotState, expected: str | None, hidden: str | None = None) -> SlotReport:
    """What slot ``name`` holds, for the world; ``hidden``: why nobody can see it now."""
    if hidden is not None:
        return SlotReport(name=name, holds="unknown", reason=hidden)
    if state.holds == "empty":
        return SlotReport(name=name, holds="empty")
    if state.label is None:
        return SlotReport(name=name, holds="unknown", reason=NOT_LOOKED_AT if state.holds == "unknown" else NOT_RECOGNISED)
    return SlotReport(name=name, holds="product", label=state.label, misplaced=expected is not None and state.label != expected)
