"""When a slot is worth a look: it changed, nothing is in front of it, and it has come to rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from edge.data import F32
from edge.shelf.glance import difference, in_reference_light

_MOVES = 0.06
"""Difference between frames above which something moves; noise of σ = 4 makes 0.01, flicker of ±10 % is taken out before."""
_CHANGED = 0.12
"""Difference from what was last looked at above which a slot is another one."""
_ADAPT = 0.02  # how far a slot at rest is followed, a frame: slow light, not goods


@dataclass(frozen=True, slots=True)
class Moment:
    """What is seen of a slot at one tick. ``now``, ``before`` (the previous tick's): h×w×3 float32 of the glance; ``gain``,
    ``step_gain``: how much brighter it is than when it was accepted, and than before. ``blocked``: something is in front of it."""

    now: F32
    before: F32
    gain: float
    step_gain: float
    blocked: bool


class Phase(Enum):
    """``BUSY``: something moves or is in front, or it has not rested long enough; ``CALM``: at rest, and as it was; ``LOOK``: to be looked
    at now."""

    BUSY = "busy"
    CALM = "calm"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class RestState:
    """``accepted``: the slot as it was last looked at, None before that; ``rests_since_ns``: the frame from which it may have been at rest,
    None while something is in front; ``looked_ns``: when."""

    accepted: F32 | None = None
    rests_since_ns: int | None = None
    looked_ns: int = 0


@dataclass(frozen=True, slots=True)
class RestRules:
    """``dwell_ns``: a change must rest so long; ``refresh_ns``: a look at least so often."""

    dwell_ns: int
    refresh_ns: int


def step(state: RestState, look: Moment, now_ns: int, rules: RestRules) -> tuple[RestState, Phase]:
    """Take in one tick."""
    moves = look.blocked or difference(look.before, look.now, look.step_gain) > _MOVES
    if moves:  # if the next frame shows the same, it was at rest in this one already
        return replace(state, rests_since_ns=None if look.blocked else now_ns), Phase.BUSY
    since_ns = now_ns if state.rests_since_ns is None else state.rests_since_ns
    state = replace(state, rests_since_ns=since_ns)
    if now_ns - since_ns < rules.dwell_ns:
        return state, Phase.BUSY
    changed = state.accepted is None or difference(state.accepted, look.now, look.gain) > _CHANGED
    if state.accepted is None or changed or now_ns - state.looked_ns >= rules.refresh_ns:
        return state, Phase.LOOK
    accepted = state.accepted + (in_reference_light(look.now, look.gain) - state.accepted) * _ADAPT
    return replace(state, accepted=accepted), Phase.CALM


def interrupted(state: RestState) -> RestState:
    """While nothing is seen, nothing rests."""
    return replace(state, rests_since_ns=None)


def looked(state: RestState, now: F32, gain: float, now_ns: int) -> RestState:
    """After a look: what is there now is accepted. ``gain`` as in ``Moment``: the slot is kept in the light of the reference."""
    return replace(state, accepted=in_reference_light(now, gain), looked_ns=now_ns)
