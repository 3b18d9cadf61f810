"""The seam between pixels and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.data import Region, ShelfEvent, Tick, U8Image, ViewState


class ViewHealth(Protocol):
    """Can the camera see its shelf?"""

    def check(self, tick: Tick) -> ViewState:
        """The state of the view at this tick."""
        ...


class Shelf(Protocol):
    """Slots, what is in them, and which of them have to be looked at."""

    def changed(self, tick: Tick, view: ViewState) -> list[Region]:
        """The slots to ask a model about at this tick; none for a tick without a frame, or while the view is bad."""
        ...

    def update(self, tick: Tick, seen: Sequence[Region], view: ViewState) -> list[ShelfEvent]:
        """Take in what was seen; returns what to tell the world."""
        ...

    def relearn(self) -> None:
        """Another model answers from now on: labels are learned anew, silently; what is empty stays so."""
        ...

    def snapshot(self) -> bytes:
        """The state to be committed together with the events, as JSON."""
        ...


class Pictures(Protocol):
    """Stores what slots looked like before and after an event. All pixels are H×W×3 uint8 RGB."""

    def shrink(self, pixels: U8Image) -> U8Image:
        """A copy of a slot's pixels, small enough to be held until the next event."""
        ...

    def keep(self, event_id: str, before: U8Image | None, after: U8Image | None) -> tuple[str, ...]:
        """Store those that there are, soon; returns the event's flags that say which."""
        ...
