"""Whole-frame classification: the same spine with one slot that covers the frame, and one observation a frame."""

from __future__ import annotations

from collections.abc import Sequence

from edge.data import Frame, Region, ShelfEvent, Tick, ViewState
from edge.events import EventFactory

SLOT = "frame"


class Unchecked:
    """View health without a reference picture: nothing can be said about the view, and nothing is."""

    def check(self, tick: Tick) -> ViewState:
        """Always UNCHECKED."""
        return ViewState.UNCHECKED


class WholeFrame:
    """Stateless: every frame is looked at, everything seen is an observation."""

    def __init__(self, events: EventFactory) -> None:
        self._events = events

    def changed(self, tick: Tick, view: ViewState) -> list[Region]:
        """The whole frame."""
        return [Region(SLOT, tick.pixels)] if isinstance(tick, Frame) else []

    def update(self, tick: Tick, seen: Sequence[Region], view: ViewState) -> list[ShelfEvent]:
        """One observation event per crop seen."""
        if not isinstance(tick, Frame):
            return []
        return [self._events.observation(tick, observation.slot, observation.top) for observation in seen]

    def relearn(self) -> None:
        """Nothing was learned."""

    def snapshot(self) -> bytes:
        """Nothing to remember."""
        return b"{}"
