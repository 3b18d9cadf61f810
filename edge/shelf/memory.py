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


class NewerStateError(DataError):
    """A newer version of this program wrote it: nothing is damaged."""


class _Version(msgspec.Struct):
    schema: int


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
        NewerStateError: a newer version wrote it.
        DataError: it is damaged; ``slots`` are as they were.
    """
    try:
        shelf = msgspec.json.decode(snapshot, type=_Shelf)
        found = [(slot, _decoded(slot, shelf.slots.get(slot.name))) for slot in slots]
    except (ValueError, RecursionError) as error:  # of msgspec and base64 too
        newer = _schema(snapshot) > SCHEMA
        raise (NewerStateError if newer else DataError)(
            f"the stored state of the shelf cannot be read: {error}",
            fix="run the version of shelfcam that wrote it, or move outbox.db away: then the slots learn anew",
        ) from error
    for slot, pictures in found:
        if pictures is None:
            continue
        known = shelf.slots[slot.name]
        keeps = same_model or known.holds == "empty"
        slot.state = SlotState(known.holds, known.label, known.last) if keeps else SlotState()
        accepted, slot.held, slot.last = pictures
        if keeps:
            slot.gate = GateState(accepted=accepted)
        slot.seen = False
    return shelf.view


def _decoded(slot: Slot, known: _Remembered | None) -> tuple[F32 | None, F32 | None, F32 | None] | None:
    """What was accepted, is held and was there last; None for a slot that learns anew. Raises ValueError."""
    shape = (slot.window[0].stop - slot.window[0].start, slot.window[1].stop - slot.window[1].start)
    if known is None or known.accepted is None or known.accepted.shape != shape:
        return None
    return _array(known.accepted, shape), _array(known.held, shape), _array(known.had, shape)


def _schema(snapshot: bytes) -> int:
    try:
        return msgspec.json.decode(snapshot, type=_Version).schema
    except (ValueError, RecursionError):
        return 0


def _picture(pixels: F32 | None) -> _Picture | None:
    if pixels is None:
        return None
    raw = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return _Picture(shape=raw.shape[:2], rgb=base64.b64encode(raw.tobytes()).decode("ascii"))


def _array(picture: _Picture | None, shape: tuple[int, int]) -> F32 | None:
    """All pictures of a slot are of its window's ``shape``. Raises ValueError."""
    if picture is None:
        return None
    if picture.shape != shape:
        raise ValueError(f"a picture of {picture.shape} where {shape} is looked at")
    raw = np.frombuffer(base64.b64decode(picture.rgb, validate=True), dtype=np.uint8)
    return raw.reshape(*shape, 3).astype(np.float32)
