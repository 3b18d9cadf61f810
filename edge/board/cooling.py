"""When to run slower so that the board does not throttle, and when to run at full rate again. Pure: readings and times come in.

A board that throttles slows everything down, the camera's own driver and network included, and by an amount that nobody chose.
Letting fewer frames through keeps each of them as quick as before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.board.thermal import Thermal

SHARES = (1.0, 0.5, 0.25)
"""Of the full rate, step by step."""

DEFAULT_LIMIT_C = 80.0
"""Raspberry Pi documentation, "Frequency management and thermal control": between 80 and 85 °C the cores are throttled progressively.
Taken for every zone whose driver names no passive trip point; those of Jetsons and most other boards do."""
SOFT_LIMIT_C = 60.0
"""The same page: the soft limit (temp_soft_limit) of the Raspberry Pi 3 Model B+; the 3 Model A+ has its board design."""
_SOFT_LIMITED = ("Raspberry Pi 3 Model B Plus", "Raspberry Pi 3 Model A Plus")

_POWER = "under_voltage"
_SOFT = "soft_temperature_limit"


@dataclass(frozen=True, slots=True)
class CoolingRules:
    """``limit_c``: the board is taken to throttle from here on, whatever its zones say; None: as they say. ``default_c``: for a zone
    that does not say. ``margin_c``: so far below it is already too hot; ``recover_c``: so far below that it is cool. ``settle_s``: a step
    down has so long to show what it does before the next; ``rest_s``: it must be cool for so long before each step up."""

    limit_c: float | None = None
    default_c: float = DEFAULT_LIMIT_C
    margin_c: float = 5.0
    recover_c: float = 5.0
    settle_s: float = 30.0
    rest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Heat:
    """One reading in short. ``zone``: the one nearest to its limit, at ``celsius`` of ``limit_c``; None where the board has no sensor.
    ``throttled``: what slows the board down now for its heat, sorted."""

    zone: str | None
    celsius: float
    limit_c: float
    throttled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoolingState:
    """``level``: index into ``SHARES``; ``moved_ns``: when it last changed; ``cool_ns``: since when it has been cool, None if it is not."""

    level: int = 0
    moved_ns: int | None = None
    cool_ns: int | None = None

    @property
    def share(self) -> float:
        """Of the full rate, in (0, 1]."""
        return SHARES[self.level]


def rules_for(model: str, limit_c: float | None) -> CoolingRules:
    """For the board that calls itself ``model`` (``edge.board.board.board_model``); ``limit_c`` of the site, or None."""
    return CoolingRules(limit_c, SOFT_LIMIT_C if model.startswith(_SOFT_LIMITED) else DEFAULT_LIMIT_C)


def heat_of(thermal: Thermal, rules: CoolingRules) -> Heat:
    """What of a reading matters.

    Flags under an under-voltage are left out: a Pi sets them for its power supply as well, and no lower rate mends that; its
    temperature then speaks alone. With a ``limit_c`` of the site the soft limit of a Pi 3B+ is left out, which it overrides.
    """
    active = [cause for cause, on in thermal.throttled.items() if on]
    if _POWER in active:
        active = []
    if rules.limit_c is not None:
        active = [cause for cause in active if cause != _SOFT]
    limit_of = _limit_of(thermal, rules)
    zone = min(thermal.celsius, key=lambda name: limit_of(name) - thermal.celsius[name], default=None)
    if zone is None:
        return Heat(None, 0.0, 0.0, tuple(sorted(active)))
    return Heat(zone, thermal.celsius[zone], limit_of(zone), tuple(sorted(active)))


def _limit_of(thermal: Thermal, rules: CoolingRules) -> Callable[[str], float]:
    if rules.limit_c is not None:
        site_c = rules.limit_c
        return lambda _: site_c
    return lambda zone: thermal.limits_c.get(zone, rules.default_c)


def step(state: CoolingState, heat: Heat, now_ns: int, rules: CoolingRules) -> tuple[CoolingState, str | None]:
    """Take in a reading; the reason if the level changed, which it does by one step at most.

    Between hot and cool, and where the sensors have fallen silent, the level stays.
    """
    why = why_hot(heat, rules)
    if why is not None:
        state = replace(state, cool_ns=None)
        settled = state.moved_ns is None or now_ns - state.moved_ns >= rules.settle_s * 1e9
        if state.level == len(SHARES) - 1 or not (settled or state.level == 0):
            return state, None
        return CoolingState(state.level + 1, now_ns), why
    if not _is_cool(heat, rules):
        return replace(state, cool_ns=None), None
    if state.cool_ns is None:
        return replace(state, cool_ns=now_ns), None
    if state.level == 0 or now_ns - state.cool_ns < rules.rest_s * 1e9:
        return state, None
    return CoolingState(state.level - 1, now_ns, cool_ns=now_ns), f"cool for {rules.rest_s:g} s"


def _is_cool(heat: Heat, rules: CoolingRules) -> bool:
    return heat.zone is not None and not heat.throttled and heat.celsius <= heat.limit_c - rules.margin_c - rules.recover_c


def why_hot(heat: Heat, rules: CoolingRules) -> str | None:
    """Why the rate should be lower; None if it need not."""
    if heat.throttled:
        return f"throttled: {', '.join(heat.throttled)}"
    if heat.zone is not None and heat.celsius >= heat.limit_c - rules.margin_c:
        return f"within {rules.margin_c:g} °C of throttling"
    return None
