"""The shelf as slots: which of them to look at, and what a look means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from edge.data import F32, Frame, Region, Score, ShelfEvent, Tick, U8Image, ViewState
from edge.events import EventFactory
from edge.monitor.vitals import SlotCounts
from edge.shelf import rest, transitions
from edge.shelf.base import Pictures
from edge.shelf.glance import Glance, Glancer, difference, gain_between, in_reference_light
from edge.shelf.likeness import likeness
from edge.shelf.rest import Phase, RestRules
from edge.shelf.slot import Slot, dump, restore

_BLOCKED = 0.3
"""Difference of a slot's surroundings from the reference above which something is in front of it."""
_NOBODY = 0.12
"""The same, above which no picture is taken, though the slot is at rest: rather none than one with somebody in it. Slots at rest on
scripted shelves (three ``mixed`` scripts: flicker, exposure steps, dusk, people elsewhere): .011 in the median, at most .114 in 99 of
100 frames."""
_PICTURED = ("taken", "returned", "replaced", "empty")
_EMPTY = 0.14
"""Difference from the empty slot below which a slot is empty."""
_ALIKE = 0.76
"""Correlation with what a slot held from which it is the same thing again. Over 24 drawn and 24 photographed products: .79 and more for
the same one put elsewhere by 3 % of the slot in other light, .75 and less for others (a blue pear for a violet one)."""


@dataclass(frozen=True, slots=True)
class ShelfRules:
    """``min_score``: below it a product is not known. ``empty_label``: a class of the model that means an empty slot."""

    rest: RestRules
    min_score: float = 0.05
    empty_label: str | None = None


@dataclass(frozen=True, slots=True)
class _Pending:
    """A slot that is looked at in this tick; ``empty``: by its looks, so that no model need be asked; ``shown``: its picture."""

    slot: Slot
    now: F32
    gain: float
    empty: bool
    shown: U8Image | None


class SlotShelf:
    """Looks at slots that changed and came to rest, and tells what became of them.

    Args:
        slots: made by ``edge.shelf.layout``.
        base: the reference's glance, or None: then the first frame is the measure of the light, and no slot is known to be empty.
        outside: h×w mask of the glance, outside all slots.
        glancer: shared with the view's health.
        events: makes the events.
        rules: of rest and of labels.
        counts: is counted up.
        view_flags: what an event about the view says besides its state.
        pictures: takes a slot's pictures before and after an event; None: none is taken.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        base: Glance | None,
        outside: npt.NDArray[np.bool_],
        *,
        glancer: Glancer,
        events: EventFactory,
        rules: ShelfRules,
        counts: SlotCounts | None = None,
        view_flags: Callable[[], tuple[str, ...]] = tuple,
        pictures: Pictures | None = None,
    ) -> None:
        self._view_flags, self._pictures = view_flags, pictures
        self._counts = counts or SlotCounts()
        self.slots = tuple(slots)
        self._base = base
        self._outside = outside if outside.mean() > 0.05 else np.ones_like(outside)
        self._glancer, self._events, self._rules = glancer, events, rules
        self._before: tuple[Glance, float] | None = None
        self._pending: list[_Pending] = []
        self._view = ViewState.UNCHECKED
        self._snapshot: bytes | None = None

    def changed(self, tick: Tick, view: ViewState) -> list[Region]:
        """The slots to infer; none while the view is bad."""
        self._pending = []
        if not isinstance(tick, Frame) or not view.sees:
            self._before = None
            for slot in self.slots:
                slot.seen = slot.seen and view is ViewState.DOUBTFUL
                slot.rest = rest.interrupted(slot.rest)
            return []
        glance = self._glancer.at(tick)
        base = self._base = self._base or glance
        gain = gain_between(base.small[self._outside], glance.small[self._outside])
        before, gain_before = self._before or (glance, gain)
        self._before = (glance, gain)
        for slot in self.slots:
            now = glance.small[slot.window]
            in_front = self._in_front(slot, base, glance, gain)
            look = rest.Moment(now, before.small[slot.window], gain, gain / gain_before, in_front > _BLOCKED)
            slot.rest, verdict = rest.step(slot.rest, look, tick.captured_mono_ns, self._rules.rest)
            slot.seen = slot.seen or verdict is Phase.CALM
            if verdict is Phase.LOOK:
                empty = slot.empty is not None and difference(slot.empty, now, gain) < _EMPTY
                self._pending.append(_Pending(slot, now, gain, empty, self._picture(tick, slot, view, in_front)))
            elif verdict is Phase.CALM and slot.shown is None:  # after a start: what is remembered is not looked at again
                slot.shown = self._picture(tick, slot, view, in_front)
        regions = [p.slot.place.region(p.slot.name, tick.pixels, p.slot.wants) for p in self._pending if not p.empty]
        self._counts.inferred += len(regions)
        self._counts.skipped += len(self.slots) - len(regions)
        return regions

    def update(self, tick: Tick, seen: Sequence[Region], view: ViewState) -> list[ShelfEvent]:
        """Changes of the view first, with what all slots hold then; then of slots; then what was learned of slots without an event."""
        told: list[ShelfEvent] = []
        if isinstance(tick, Frame) and view not in (self._view, ViewState.DOUBTFUL):
            if not (view.sees and self._view.sees):
                flags = (view.value, *self._view_flags())
                told.append(self._status("view", tick, flags, self.slots, None if view.sees else view.value))
            self._view, self._snapshot = view, None
        if not isinstance(tick, Frame):
            return told
        tops = _surest(seen)
        new = [pending.slot for pending in self._pending if pending.slot.state.holds == "unknown"]
        for pending in self._pending:
            told += self._learn(tick, pending, tops.get(pending.slot.name, ()))
        silent = [slot for slot in new if slot.name not in {event.slot for event in told}]
        if silent:
            told.append(self._status("slots", tick, (), silent, None if view.sees else view.value))
        if self._pending:
            self._snapshot = None
        self._pending = []
        return told

    def snapshot(self) -> bytes:
        """What must survive a restart; the same object while nothing has changed."""
        if self._snapshot is None:
            self._snapshot = dump(self.slots, self._view)
        return self._snapshot

    def relearn(self) -> None:
        """As after a start with another model: what is not empty is looked at again."""
        self.restore(self.snapshot(), same_model=False)
        self._snapshot = None

    def restore(self, snapshot: bytes, *, same_model: bool) -> None:
        """Go on where a run before ended (``edge.shelf.slot.restore``). Raises DataError."""
        self._view = restore(self.slots, snapshot, same_model=same_model)

    def _status(
        self, type_: str, frame: Frame, flags: tuple[str, ...], slots: Sequence[Slot], hidden: str | None
    ) -> ShelfEvent:
        """With what ``slots`` hold; ``hidden``: why nobody can see them."""
        reports = tuple(transitions.report(slot.name, slot.state, slot.expected, hidden) for slot in slots)
        return self._events.status(type_, frame.captured_utc, flags, simulated=frame.simulated, slots=reports)

    def _learn(self, frame: Frame, pending: _Pending, top: tuple[Score, ...]) -> list[ShelfEvent]:
        slot, now = pending.slot, in_reference_light(pending.now, pending.gain)
        best = top[0] if top else Score("", -1, 0.0)
        empty = pending.empty or (bool(top) and best.label == self._rules.empty_label)
        look = transitions.Look(
            empty=empty,
            label=best.label,
            score=best.score,
            same=slot.held is not None and likeness(slot.held, now, slot.empty) >= _ALIKE,
            back=slot.last is not None and likeness(slot.last, now, slot.empty) >= _ALIKE,
            seen=slot.seen,
        )
        slot.state, change = transitions.learn(slot.state, look, self._rules.min_score)
        slot.rest = rest.looked(slot.rest, pending.now, pending.gain, frame.captured_mono_ns)
        slot.held, slot.last = (None, slot.held if slot.held is not None else slot.last) if empty else (now, slot.last)
        slot.seen = True
        before, slot.shown = slot.shown, pending.shown
        if change is None:
            return []
        misplaced = slot.expected is not None and change.after not in (None, slot.expected)
        flags = ("misplaced",) if misplaced else ()
        event = self._events.change(frame, slot.name, change, top, flags)
        if self._pictures is not None and change.kind in _PICTURED:
            kept = self._pictures.keep(event.id, before, pending.shown)
            event = msgspec.structs.replace(event, flags=(*event.flags, *kept))
        return [event]

    def _picture(self, frame: Frame, slot: Slot, view: ViewState, in_front: float) -> U8Image | None:
        """Of a slot at rest; None where somebody could be in it: the view is not checked, or the slot's surroundings cannot be seen, or
        are not quite what they were."""
        if self._pictures is None or view is not ViewState.CLEAR or not slot.ring.any() or in_front > _NOBODY:
            return None
        return self._pictures.shrink(slot.place.cut(frame.pixels))

    def _in_front(self, slot: Slot, base: Glance, glance: Glance, gain: float) -> float:
        """How much the surroundings of the slot differ from what they were: by what is in front of it. 0 where there are none."""
        ring = slot.ring
        if not ring.any():
            return 0.0
        return difference(base.small[ring][:, None], glance.small[ring][:, None], gain)


def _surest(seen: Sequence[Region]) -> dict[str, tuple[Score, ...]]:
    """Slot → the best classes. Of several things that were found in a slot the one that a model is surest of counts."""
    tops: dict[str, tuple[Score, ...]] = {}
    for region in seen:
        before = tops.get(region.slot, ())
        if region.top and (not before or region.top[0].score > before[0].score):
            tops[region.slot] = region.top
    return tops
