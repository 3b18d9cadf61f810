"""What slots hold, as a status event tells it: one flag a slot. Pure.

``unknown=A1``: nobody can say. ``empty=A1``. ``product=A1:Tomato Paste``, and ``misplaced=A1`` behind it where another one is expected.
A slot's name holds neither "=" nor ":" (``edge.bundle.manifest.Name``), a label may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.shelf.machine import SlotState


@dataclass(frozen=True, slots=True)
class Holding:
    """``known`` False: nobody can say what is in it; ``label`` None of a known one: nothing."""

    known: bool
    label: str | None = None
    misplaced: bool = False


UNKNOWN = Holding(False)


def holding_of(state: SlotState, expected: str | None) -> Holding:
    """Of a slot in clear view. A product that the model cannot name is not known."""
    if state.holds == "empty":
        return Holding(True)
    if state.holds == "unknown" or state.label is None:
        return UNKNOWN
    return Holding(True, state.label, misplaced=expected is not None and state.label != expected)


def as_flags(holdings: Iterable[tuple[str, Holding]]) -> tuple[str, ...]:
    """Of slots and what they hold."""
    flags: list[str] = []
    for slot, holding in holdings:
        if not holding.known:
            flags.append(f"unknown={slot}")
        elif holding.label is None:
            flags.append(f"empty={slot}")
        else:
            flags += [f"product={slot}:{holding.label}", *([f"misplaced={slot}"] if holding.misplaced else [])]
    return tuple(flags)


def read_flags(flags: Sequence[str]) -> tuple[dict[str, Holding], tuple[str, ...]]:
    """(Slot → what it holds, the flags that say something else)."""
    told: dict[str, Holding] = {}
    others: list[str] = []
    misplaced = {flag.removeprefix("misplaced=") for flag in flags if flag.startswith("misplaced=")}
    for flag in flags:
        kind, equals, value = flag.partition("=")
        slot, colon, label = value.partition(":")
        if equals and kind == "unknown":
            told[value] = UNKNOWN
        elif equals and kind == "empty":
            told[value] = Holding(True)
        elif colon and kind == "product":
            told[slot] = Holding(True, label, slot in misplaced)
        elif kind != "misplaced" or not equals:
            others.append(flag)
    return told, tuple(others)
