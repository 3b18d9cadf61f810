"""What is known of a slot, and how that outlives a restart: JSON, with each slot's looks as small pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.data import F32, Holds, U8Image, ViewState
from edge.errors import DataError
from edge.shelf.geometry import Place
from edge.shelf.rest import RestState
from edge.shelf.transitions import SlotState
from edge.strict import Strict

SCHEMA: Literal[2] = 2
"""1 had no ``view``."""


@dataclass(slots=True)
class Slot:
    """One slot. ``window``: of the glance; ``ring``: mask h×w of the glance around it; ``empty``: the empty slot, h×w×3 float32, None if
    nobody knows; ``held``, ``last``: what is in it and what was, in the light of the reference; ``seen``: in view since the last look;
    ``wants``: the answers that are asked for, None: all; ``shown``: its picture at the last look, None where none may be taken."""

    name: str
    place: Place
    window: tuple[slice, slice]
    ring: npt.NDArray[np.bool_]
    empty: F32 | None
    expected: str | None = None
    wants: frozenset[str] | None = None
    rest: RestState = field(default_factory=RestState)
    state: SlotState = field(default_factory=SlotState)
    held: F32 | None = None
    last: F32 | None = None
    seen: bool = True
    shown: U8Image | None = None


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
            accepted=_picture(slot.rest.accepted),
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
        slot.rest = RestState(accepted=accepted) if keeps else RestState()
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
