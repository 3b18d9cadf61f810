"""What happens at a scripted shelf, and what a camera that sees it should say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

Goods = Literal["take", "return", "swap", "restock"]
Disturbance = Literal[
    "hand", "person", "flicker", "exposure", "dusk", "noise", "dark", "bright", "cover", "blur", "bump", "freeze"
]
EventType = Literal["taken", "returned", "replaced", "empty"]
Fault = Literal["dark", "bright", "covered", "blurred", "moved", "frozen"]

GOODS: tuple[Goods, ...] = get_args(Goods)
DISTURBANCES: tuple[Disturbance, ...] = get_args(Disturbance)
FAULT_OF: dict[str, Fault] = {
    "dark": "dark",
    "bright": "bright",
    "cover": "covered",
    "blur": "blurred",
    "bump": "moved",
    "freeze": "frozen",
}
"""Disturbances after which a camera must say that it does not see its shelf."""
REACH_S = 1.0
"""A hand is in front of a slot from so long before it changes something there until so long after."""
SCRIPTS = ("goods", "faults", "mixed", "quiet")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens. ``at_s``: when, for goods the moment of change, behind a hand. ``slot``: goods, and where a hand passes.

    ``product``: what ``return``, ``swap`` and ``restock`` put there. ``last_s``: how long a disturbance lasts. ``amount``: of flicker
    the share (0.1 is ±10 %), of exposure stops (EV), of dusk stops an hour, of noise σ of 255, of a bump pixels.
    """

    at_s: float
    kind: Goods | Disturbance
    slot: str | None = None
    product: str | None = None
    last_s: float = 0.0
    amount: float = 0.0

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + (REACH_S if self.kind in GOODS else self.last_s)


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """What should be said of ``slot``. ``seen_s``: from then on a camera with a clear view can know."""

    seen_s: float
    slot: str
    type: EventType
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TrueFault:
    """The shelf cannot be seen from ``from_s`` to ``to_s``."""

    from_s: float
    to_s: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class Script:
    """``start``: what stands in each slot at first; ``actions`` in the order of time; it ends at ``end_s``."""

    start: dict[str, str | None]
    actions: tuple[Action, ...]
    end_s: float

    def products_at(self, time_s: float) -> dict[str, tuple[str | None, int]]:
        """Slot → (its product, how many changes it has seen)."""
        shelf: dict[str, tuple[str | None, int]] = {slot: (product, 0) for slot, product in self.start.items()}
        for action in self.actions:
            if action.kind in GOODS and action.slot is not None and action.at_s <= time_s:
                shelf[action.slot] = (action.product, shelf[action.slot][1] + 1)
        return shelf

    def faults(self) -> list[TrueFault]:
        """Everything that keeps the camera from seeing."""
        found = [TrueFault(a.at_s, a.end_s, FAULT_OF[a.kind]) for a in self.actions if a.kind in FAULT_OF]
        return sorted(found, key=lambda fault: fault.from_s)

    def events(self) -> list[TrueEvent]:
        """What should be said, in the order of time. What happens while the camera cannot see is said afterwards, as a whole."""
        faults = self.faults()
        holds = dict(self.start)  # what a camera knows to be in a slot
        had = {slot: product for slot, product in self.start.items() if product is not None}
        pending: dict[str, tuple[float, str | None]] = {}
        events: list[TrueEvent] = []
        moments = sorted(
            [(a.at_s, a.slot or "", a.product) for a in self.actions if a.kind in GOODS]
            + [(fault.to_s, "", None) for fault in faults]
        )
        for at_s, slot, product in moments:
            hidden = next((f for f in faults if f.from_s <= at_s < f.to_s), None)
            if slot and hidden is not None:
                pending[slot] = (hidden.to_s, product)
            elif slot:
                event = _event(at_s + REACH_S, slot, holds[slot], product, had.get(slot), seen=True)
                events += [event] if event else []
                holds[slot] = product
                had |= {slot: product} if product is not None else {}
            for name in [name for name, (until_s, _) in pending.items() if until_s <= at_s and hidden is None]:
                until_s, found = pending.pop(name)
                event = _event(until_s, name, holds[name], found, had.get(name), seen=False)
                events += [event] if event else []
                holds[name] = found
                had |= {name: found} if found is not None else {}
        return sorted(events, key=lambda event: event.seen_s)


def _event(seen_s: float, slot: str, before: str | None, after: str | None, had: str | None, *, seen: bool) -> TrueEvent | None:
    """The event of one change, as the contract for events names it."""
    if before == after:
        return None
    if after is None:
        return TrueEvent(seen_s, slot, "taken" if seen else "empty", before, None)
    kind: EventType = "returned" if before is None and after == had else "replaced"
    return TrueEvent(seen_s, slot, kind, before, after)


def write_script(name: str, seed: int, slots: Sequence[str], products: Sequence[str], *, duration_s: float = 300.0) -> Script:
    """A script drawn from ``seed``.

    ``goods``: things are taken, returned, swapped and restocked, under noise. ``faults``: every fault of the view, some with a theft
    behind it. ``mixed``: both, with hands and people passing, flicker, exposure steps and dusk. ``quiet``: noise, flicker and dusk, and
    nothing happens.

    Raises:
        ValueError: no script of that name, or fewer than three products.
    """
    if name not in SCRIPTS or len(products) < 3:
        raise ValueError(f"no script {name!r} with {len(products)} products; there are {', '.join(SCRIPTS)}")
    rng = np.random.default_rng([seed, SCRIPTS.index(name)])
    start: dict[str, str | None] = {slot: str(rng.choice(list(products))) for slot in slots}
    actions = [Action(0.0, "noise", last_s=duration_s, amount=4.0)]
    if name in ("mixed", "quiet"):
        actions.append(Action(0.0, "flicker", last_s=duration_s, amount=0.1))
        actions.append(Action(0.0, "dusk", last_s=duration_s, amount=-4.0))
    if name != "quiet":
        actions += _things_happen(rng, name, start, products, duration_s)
    return Script(start, tuple(sorted(actions, key=lambda action: action.at_s)), duration_s)


def _things_happen(
    rng: np.random.Generator, name: str, start: dict[str, str | None], products: Sequence[str], duration_s: float
) -> list[Action]:
    """One thing after another, with pauses in which a camera can settle."""
    shelf = dict(start)
    had: dict[str, str] = {slot: product for slot, product in start.items() if product is not None}
    actions: list[Action] = []
    now_s = 8.0
    while now_s < duration_s - 20.0:
        roll = rng.random()
        if name == "faults" or (name == "mixed" and roll < 0.2):
            made = _fault(rng, now_s, shelf, had)
        elif name == "mixed" and roll < 0.45:
            made = [_bystander(rng, now_s, list(shelf))]
        else:
            made = [_goods(rng, now_s, shelf, had, products)]
        actions += made
        now_s = max(action.end_s for action in made) + float(rng.uniform(5.0, 8.0))
    return actions


def _goods(
    rng: np.random.Generator, at_s: float, shelf: dict[str, str | None], had: dict[str, str], products: Sequence[str]
) -> Action:
    slot = str(rng.choice(list(shelf)))
    others = [product for product in products if product not in (shelf[slot], had.get(slot))]
    other = str(rng.choice(others))
    if shelf[slot] is None:
        back = slot in had and rng.random() < 0.7
        action = Action(at_s, "return", slot, had[slot]) if back else Action(at_s, "restock", slot, other)
    else:
        action = Action(at_s, "take", slot) if rng.random() < 0.7 else Action(at_s, "swap", slot, other)
    shelf[slot] = action.product
    if action.product is not None:
        had[slot] = action.product
    return action


def _bystander(rng: np.random.Generator, at_s: float, slots: list[str]) -> Action:
    kind = str(rng.choice(["hand", "person", "exposure"]))
    if kind == "hand":
        return Action(at_s, "hand", str(rng.choice(slots)), last_s=2 * REACH_S)
    if kind == "person":
        return Action(at_s, "person", last_s=float(rng.uniform(3.0, 6.0)))
    return Action(at_s, "exposure", last_s=float(rng.uniform(6.0, 12.0)), amount=float(rng.choice([-1.0, 1.0])))


def _fault(rng: np.random.Generator, at_s: float, shelf: dict[str, str | None], had: dict[str, str]) -> list[Action]:
    """A fault of the view; behind a cover something is taken, half of the time."""
    kind = str(rng.choice(list(FAULT_OF)))
    fault = Action(at_s, "cover", last_s=float(rng.uniform(10.0, 14.0)))
    amount = float(rng.uniform(12.0, 30.0)) if kind == "bump" else 0.0
    fault = replace(fault, kind=kind, amount=amount)  # type: ignore[arg-type]
    filled = [slot for slot, product in shelf.items() if product is not None]
    if kind != "cover" or not filled or rng.random() < 0.5:
        return [fault]
    slot = str(rng.choice(filled))
    had[slot], shelf[slot] = str(shelf[slot]), None
    return [fault, Action(at_s + 5.0, "take", slot)]
