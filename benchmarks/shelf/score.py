"""What a camera said of a scripted shelf, against what was true. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.data import ShelfEvent
from edge.scene.script import Script, TrueEvent, TrueFault

FAULT_WITHIN_S = 5.0
GRACE_S = 1.0
"""An event may come so much later than the dwell time after it could be known."""
_REACH_EARLY_S = 1.0  # an event may come while the hand is still leaving

Reported = tuple[float, ShelfEvent]
"""When an event was committed, in seconds of the script, and the event."""


@dataclass(frozen=True, slots=True)
class ShelfScore:
    """``right`` of ``true`` events were reported, of ``reported`` in all; ``named``: of the right ones, with the right product;
    ``faults_reported`` of ``faults`` within five seconds, ``false_faults`` without one; ``false_empties``: slots called empty in a bad
    view."""

    true: int
    reported: int
    right: int
    named: int
    faults: int
    faults_reported: int
    false_faults: int
    false_empties: int
    missed: tuple[TrueEvent, ...]
    invented: tuple[Reported, ...]
    unseen: tuple[TrueFault, ...]


def score(script: Script, reported: Sequence[Reported], dwell_s: float) -> ShelfScore:
    """Each true event takes the first reported one of its slot and kind within its time; what is left over was invented."""
    events = [(time_s, event) for time_s, event in reported if event.kind == "event"]
    views = [(time_s, event.flags[0]) for time_s, event in reported if event.kind == "status" and event.type == "view"]
    left = list(range(len(events)))
    missed, named = [], 0
    for true in script.events():
        until_s = true.seen_s + dwell_s + GRACE_S
        found = next((i for i in left if _answers(events[i], true, until_s)), None)
        if found is None:
            missed.append(true)
            continue
        left.remove(found)
        named += events[found][1].after == true.after
    faults = script.faults()
    unseen = [
        f for f in faults if not any(state == f.fault and f.from_s <= t <= f.from_s + FAULT_WITHIN_S for t, state in views)
    ]
    in_fault = [any(f.from_s <= t <= f.to_s for f in faults) for t, _ in views]
    false_empties = [e for t, e in events if e.type == "empty" and any(f.from_s <= t < f.to_s for f in faults)]
    true_count = len(script.events())
    return ShelfScore(
        true=true_count,
        reported=len(events),
        right=true_count - len(missed),
        named=named,
        faults=len(faults),
        faults_reported=len(faults) - len(unseen),
        false_faults=sum(state != "clear" and not inside for (_, state), inside in zip(views, in_fault, strict=True)),
        false_empties=len(false_empties),
        missed=tuple(missed),
        invented=tuple(events[i] for i in left),
        unseen=tuple(unseen),
    )


def _answers(reported: Reported, true: TrueEvent, until_s: float) -> bool:
    """A product that the model cannot name makes ``unknown`` of a return or a replacement: by the contract, that is the right kind."""
    time_s, event = reported
    kind = event.type == true.type or (event.type == "unknown" and true.after is not None)
    return kind and event.slot == true.slot and true.seen_s - _REACH_EARLY_S <= time_s <= until_s
