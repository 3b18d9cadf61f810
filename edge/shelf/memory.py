"""What the shelf remembers over a restart: JSON, with each slot's looks as small pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from edge.bundle.manifest import Strict
from edge.data import ViewState
from edge.errors import DataError
from edge.shelf.gate import GateState
from edge.shelf.glance import F32
from edge.shelf.machine import Holds, SlotState

if TYPE_CHECKING:
    from edge.shelf.slots import Slot

SCHEMA: Literal[2] = 2
"""1 had no ``view``."""


class _Picture(Strict, frozen=True, kw_only=True):
    """``shape``: h, w; ``rgb``: base64 of h×w×3 uint8."""

    shape: tuple[int, int]
    rgb: str


class _Remembered(Strict, frozen=True, kw_only=True):
    holds: Holds
    label: str | None
    last: str | None
    accepted: _Picture | None
    held: _Picture | None
    had: _Picture | None


class _Shelf(Strict, frozen=True, kw_only=True):
    schema: Literal[1, 2] = 1
    view: ViewState = ViewState.UNCHECKED
    slots: dict[str, _Remembered] = msgspec.field(default_factory=dict)  # of a run without slots there are none


def dump(slots: Sequence[Slot], view: ViewState) -> bytes:
    """As JSON. ``view``: what was told of it last."""
    told = {
        slot.name: _Remembered(
            holds=slot.state.holds,
            label=slot.state.label,
            last=slot.state.last,
            accepted=_picture(slot.gate.accepted),
            held=_picture(slot.held),
            had=_picture(slot.last),
        )
        for slot in slots
    }
    return msgspec.json.encode(_Shelf(schema=SCHEMA, view=view, slots=told))


def restore(slots: Sequence[Slot], snapshot: bytes, *, same_model: bool) -> ViewState:
    """Put what was remembered back into ``slots``, in place. A slot of another name or size learns anew; with another model the labels are
    learned anew, silently, and what is empty stays so.

    Returns:
        What was told of the view last, so that the end of a bad one is told although it came while the camera was off.

    Raises:
        DataError: it is of another schema, or damaged.
    """
    try:
        shelf = msgspec.json.decode(snapshot, type=_Shelf)
    except msgspec.DecodeError as error:
        raise DataError(
            f"the stored state of the shelf cannot be read: {error}",
            fix="run the version of shelfcam that wrote it, or move outbox.db away: then the slots learn anew",
        ) from error
    for slot in slots:
        known = shelf.slots.get(slot.name)
        shape = (slot.window[0].stop - slot.window[0].start, slot.window[1].stop - slot.window[1].start)
        if known is None or known.accepted is None or known.accepted.shape != shape:
            continue
        keeps = same_model or known.holds == "empty"
        slot.state = SlotState(known.holds, known.label, known.last) if keeps else SlotState()
        slot.held, slot.last = _array(known.held), _array(known.had)
        if keeps:
            slot.gate = GateState(accepted=_array(known.accepted))
        slot.seen = False
    return shelf.view


def _picture(pixels: F32 | None) -> _Picture | None:
    if pixels is None:
        return None
    raw = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return _Picture(shape=raw.shape[:2], rgb=base64.b64encode(raw.tobytes()).decode("ascii"))


def _array(picture: _Picture | None) -> F32 | None:
    if picture is None:
        return None
    raw = np.frombuffer(base64.b64decode(picture.rgb), dtype=np.uint8)
    return raw.reshape(*picture.shape, 3).astype(np.float32)
