"""Which faults a soak does, and when: drawn from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from edge.scene.script import REACH_S, Action, Script

SERVICE_FAULTS = ("kill", "stream_stalls", "stream_wrong_size", "config_broken", "disk_full", "clock_jumps", "rtsp_killed")
"""One at a time: each is about the camera or the service, which must be back before the next."""
RECEIVER_FAULTS = ("broker_down", "webhook_hangs")
"""Beside those: a sink that is away must not matter to anything else."""
WARM_UP_S, COOL_DOWN_S = 15.0, 20.0
_LONG_S = 180.0
_FIRST_CHANGE_S = 6.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Begins at ``at_s`` of the soak and is taken back after ``last_s``."""

    at_s: float
    kind: str
    last_s: float


def plan_faults(seed: int, duration_s: float, possible: Collection[str]) -> list[Fault]:
    """Every kind in turn, shuffled anew each time round. A long soak kills in its first half only, so that the second half belongs to one
    process whose growth can be reported.

    Args:
        seed: of kinds and times.
        duration_s: of the soak; nothing happens in WARM_UP_S at its beginning and COOL_DOWN_S at its end.
        possible: kinds that can be done here.
    """
    rng = random.Random(seed)
    faults: list[Fault] = []
    for kinds, lasts_s, pauses_s in ((SERVICE_FAULTS, (3.0, 8.0), (12.0, 20.0)), (RECEIVER_FAULTS, (6.0, 14.0), (6.0, 14.0))):
        now_s = WARM_UP_S + rng.uniform(0, 2)
        left: list[str] = []
        mine = [kind for kind in kinds if kind in possible]
        while mine:
            left = left or rng.sample(mine, len(mine))
            kind = left.pop()
            if kind == "kill" and duration_s >= _LONG_S and now_s >= duration_s / 2:
                mine.remove(kind)
                continue
            last_s = 0.0 if kind == "kill" else rng.uniform(*lasts_s)
            if now_s + last_s > duration_s - COOL_DOWN_S:
                break
            faults.append(Fault(now_s, kind, last_s))
            now_s += last_s + (rng.uniform(*pauses_s) if duration_s >= _LONG_S else 6.0)
    return sorted(faults, key=lambda fault: fault.at_s)


def soak_script(seed: int, slots: list[str], products: list[str], duration_s: float) -> Script:
    """Slots are emptied and filled, one every few seconds, so that each change is an event whose kind needs no eye for likeness."""
    rng = random.Random(seed)
    start = {name: rng.choice(products) if rng.random() < 0.7 else None for name in slots}
    shelf, now_s = dict(start), _FIRST_CHANGE_S
    actions = [Action(0.0, "noise", last_s=duration_s, amount=3.0)]
    while now_s < duration_s - COOL_DOWN_S / 2:
        slot = rng.choice(slots)
        product = None if shelf[slot] is not None else rng.choice(products)
        actions.append(Action(now_s, "take", slot) if product is None else Action(now_s, "restock", slot, product))
        shelf[slot] = product
        now_s += 2 * REACH_S + rng.uniform(2.0, 4.0)
    return Script(start, tuple(actions), duration_s)
