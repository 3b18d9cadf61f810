"""What a soak found: events against the outbox and against the truth, and what the process held. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.record import targets
from benchmarks.record.schema import Check
from benchmarks.record.stats import median
from benchmarks.soak.service import SoakSample, advances
from edge.events import number_of
from edge.scene.script import GOODS, REACH_S, Script
from edge.strict import Strict

BACK_WITHIN_S = 90.0
"""After a fault is taken back frames must go through the loop again within so long: the ladder's longest pause, an opening, some frames."""
RESIDENT_GROWTH_MAX = 0.05  # of one process: cameras that are opened again and again leave an allocator's slack behind
THREADS_MAX, DESCRIPTORS_MAX = 1, 2  # more in the second half of a life than in the first: one may be just at work
_CONNECTED = 0.9
"""Quantile of threads and descriptors in each half: what is held while every sink is connected. An MQTT connection that a fault takes away
is a thread and three descriptors less (its socket, and the pair that wakes its thread), and halves in which it is away for long occur."""
_WARM_S, _LIFE_S = 20.0, 60.0
_GRACE_S, _SLOP_S, _BEFORE_S = 1.5, 1.5, 4.0
_BLINDING = ("stream_stalls", "stream_wrong_size", "kill")

Event = dict[str, Any]


class DoneFault(Strict, frozen=True, kw_only=True):
    """``begun_s`` and ``ended_s`` of the soak; ``back_s``: after the end, until frames went through again; null: they did not."""

    kind: str
    begun_s: float
    ended_s: float
    back_s: float | None


@dataclass(slots=True)
class Gathered:
    """What a soak of one camera gathered. ``stored``: the outbox in its order; ``received``: by sink, in the order of arrival;
    ``slot_events``: (seconds of the script, event) of what the sinks were told about slots."""

    camera: str
    stored: list[Event]
    received: dict[str, list[Event]]
    samples: list[SoakSample]
    ended: list[int]
    starts: int
    slot_events: list[tuple[float, Event]] = field(default_factory=list)


class SinkTally(Strict, frozen=True, kw_only=True):
    """One sink of one camera. ``doubled``: came again, under the same id; ``changed``: an id that came with two contents."""

    camera: str
    sink: str
    events: int
    lost: int
    invented: int
    doubled: int
    changed: int
    out_of_order: int


class Growth(Strict, frozen=True, kw_only=True):
    """The longest life of a process, from 20 s after its start, and slopes an hour. Memory: medians of the first and the last fifth;
    threads and descriptors: the 0.9 quantiles of the first and the second half."""

    camera: str
    seconds: float
    resident_mb: tuple[float, float]
    resident_mb_per_h: float
    threads: tuple[float, float]
    threads_per_h: float
    descriptors: tuple[float, float]
    descriptors_per_h: float


class Truth(Strict, frozen=True, kw_only=True):
    """Changes of slots while the camera saw, and what was said of them. ``missed``: of ``due``; ``invented``: of ``reported``."""

    changes: int
    due: int
    missed: tuple[str, ...]
    reported: int
    invented: tuple[str, ...]


def skipped_numbers(stored: Sequence[Event]) -> int:
    """Event numbers that are missing between those in an outbox: committed, or waiting in memory, and gone."""
    numbers = [number_of(event["id"]) for event in stored]
    return max(numbers) - min(numbers) + 1 - len(numbers) if numbers else 0


def deliver(seen: Gathered) -> list[SinkTally]:
    """What each sink got, beside the outbox; of the time that the outbox still reaches back to."""
    wanted = {event["id"]: event for event in seen.stored}
    oldest = min(wanted, default="")
    found = []
    for sink, received in sorted(seen.received.items()):
        events = [event for event in received if event["id"] >= oldest]
        first: dict[str, Event] = {}
        for event in events:
            first.setdefault(event["id"], event)
        order = [event_id for event_id in wanted if event_id in first]
        came = [event_id for event_id in first if event_id in wanted]
        found.append(
            SinkTally(
                camera=seen.camera,
                sink=sink,
                events=len(first),
                lost=len(wanted) - len(order),
                invented=len(first) - len(order),
                doubled=len(events) - len(first),
                changed=len({e["id"] for e in events if e != first[e["id"]] or e != wanted.get(e["id"], e)}),
                out_of_order=sum(a != b for a, b in zip(order, came, strict=True)),
            )
        )
    return found


def grow(camera: str, samples: Sequence[SoakSample]) -> Growth | None:
    """Of the process that lived longest; None where that is less than a minute after its warm-up."""
    lives: dict[int, list[SoakSample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    lives = {pid: [s for s in life if s.time_s >= life[0].time_s + _WARM_S] for pid, life in lives.items()}
    life = max(lives.values(), key=lambda one: one[-1].time_s - one[0].time_s if one else 0.0, default=[])
    if not life or life[-1].time_s - life[0].time_s < _LIFE_S:
        return None
    hours = [sample.time_s / 3600 for sample in life]

    def slope(values: list[float]) -> float:
        return float(np.polyfit(hours, values, 1)[0])

    def halves(values: list[float]) -> tuple[tuple[float, float], float]:
        half = len(values) // 2
        first, second = (float(np.quantile(part, _CONNECTED, method="lower")) for part in (values[:half], values[half:]))
        return (first, second), slope(values)

    resident_mb, fifth = [sample.resident_bytes / 1e6 for sample in life], max(1, len(life) // 5)
    resident = (median(resident_mb[:fifth]), median(resident_mb[-fifth:])), slope(resident_mb)
    threads = halves([float(sample.threads) for sample in life])
    descriptors = halves([float(sample.descriptors) for sample in life])
    return Growth(
        camera=camera,
        seconds=life[-1].time_s - life[0].time_s,
        resident_mb=resident[0],
        resident_mb_per_h=resident[1],
        threads=threads[0],
        threads_per_h=threads[1],
        descriptors=descriptors[0],
        descriptors_per_h=descriptors[1],
    )


def compare(script: Script, seen: Gathered, faults: Sequence[DoneFault], dwell_s: float) -> Truth:
    """Every change that the camera saw from before the hand came until its event was due must be reported, and nothing that is not so.

    What happened while it did not see may be reported later, as one change, or, if it was undone, not at all.
    """
    changes: dict[str, list[tuple[float, bool]]] = {name: [] for name in script.start}
    for action in script.actions:
        if action.kind in GOODS and action.slot is not None:
            changes[action.slot].append((action.at_s, action.product is None))
    blind = [(fault.begun_s, fault.ended_s + (fault.back_s or 0.0) + _SLOP_S) for fault in faults if fault.kind in _BLINDING]
    ends_s = seen.samples[-1].time_s if seen.samples else 0.0
    due, missed, invented = 0, [], []
    for slot, moments in changes.items():
        reported = [(at_s, event["type"], event["after"] is None) for at_s, event in seen.slot_events if event["slot"] == slot]
        for at_s, emptied in moments:
            until_s = at_s + REACH_S + dwell_s + _GRACE_S
            if until_s > ends_s or not _saw(seen.samples, blind, at_s - _BEFORE_S, until_s):
                continue
            due += 1
            if not any(at_s <= t <= until_s and (kind in ("taken", "empty")) is emptied for t, kind, _ in reported):
                missed.append(f"{at_s:.1f} s: {slot} {'emptied' if emptied else 'filled'}")
        invented += _invented(slot, script.start[slot] is None, moments, reported)
    return Truth(
        changes=sum(map(len, changes.values())),
        due=due,
        missed=tuple(missed),
        reported=len(seen.slot_events),
        invented=tuple(invented),
    )


def _saw(samples: Sequence[SoakSample], blind: Sequence[tuple[float, float]], from_s: float, to_s: float) -> bool:
    if any(begin < to_s and end > from_s for begin, end in blind):
        return False
    inside = [i for i, sample in enumerate(samples) if from_s <= sample.time_s <= to_s]
    if not inside or inside[0] == 0 or inside[-1] + 1 >= len(samples):
        return False
    return all(advances(samples[i - 1], samples[i]) for i in [*inside, inside[-1] + 1])


def _invented(
    slot: str, empty: bool, moments: Sequence[tuple[float, bool]], reported: Sequence[tuple[float, str, bool]]
) -> list[str]:
    """Events that say what is not so, or that something changed where nothing did; an empty slot that was never seen is reported once."""
    found, before_s = [], None  # an event comes more than REACH_S after its change: until then it was hidden, or had not rested
    for at_s, kind, _ in reported:
        says_empty = kind in ("taken", "empty")
        states = {
            empty if at_s - _SLOP_S < 0 or not moments else _state(empty, moments, at_s - _SLOP_S),
            _state(empty, moments, at_s),
        }
        states.add(_state(empty, moments, at_s + _SLOP_S))
        since_s = -1e9 if before_s is None else before_s - REACH_S
        changed = any(since_s < moment <= at_s + _SLOP_S for moment, _ in moments) or (before_s is None and kind == "empty")
        if says_empty not in states or not changed:
            found.append(f"{at_s:.1f} s: {slot} {kind}")
        before_s = at_s
    return found


def _state(empty: bool, moments: Sequence[tuple[float, bool]], at_s: float) -> bool:
    return next((emptied for moment, emptied in reversed(moments) if moment <= at_s), empty)


def soak_checks(
    deliveries: Sequence[SinkTally],
    truth: Truth,
    growths: Mapping[str, Growth | None],
    faults: Sequence[DoneFault],
    *,
    skipped: int,
    ended_for_good: int,
) -> list[Check]:
    """The checks of a soak; all must hold. ``skipped``: numbers missing in the outboxes."""
    checks = [targets.check("numbers missing in the outbox", skipped, "≤", 0, unit="events")]
    checks += [
        targets.check(name, sum(getattr(one, key) for one in deliveries), "≤", 0, unit="events")
        for name, key in (
            ("stored and not delivered", "lost"),
            ("delivered and never stored", "invented"),
            ("one id, two contents", "changed"),
            ("out of order", "out_of_order"),
        )
    ]
    reported = f"{truth.due} of {truth.changes} changes while the camera saw"
    if truth.due:
        checks.append(targets.check("changes seen and not reported", len(truth.missed), "≤", 0, unit="changes", note=reported))
    else:
        checks.append(
            targets.unmeasured(
                "changes seen and not reported", "≤", 0, unit="changes", why="the camera saw none from end to end"
            )
        )
    checks.append(
        targets.check("reported and not so", len(truth.invented), "≤", 0, unit="events", note=f"{truth.reported} reported")
    )
    late = sum(fault.back_s is None for fault in faults)
    note = f"{len(faults) - late} of {len(faults)} faults"
    checks.append(targets.check(f"not back within {BACK_WITHIN_S:.0f} s", late, "≤", 0, unit="faults", note=note))
    checks.append(targets.check("ends that systemd would not restart", ended_for_good, "≤", 0, unit="ends"))
    for camera, growth in growths.items():
        checks += _leaks(camera, growth)
    return checks


def _leaks(camera: str, growth: Growth | None) -> list[Check]:
    limits = (
        (f"{camera}: resident memory", RESIDENT_GROWTH_MAX, "share"),
        (f"{camera}: threads", THREADS_MAX, "more"),
        (f"{camera}: descriptors", DESCRIPTORS_MAX, "more"),
    )
    if growth is None:
        why = "no process lived for a minute after its warm-up: soak longer"
        return [targets.unmeasured(name, "≤", limit, unit=unit, why=why) for name, limit, unit in limits]
    memory, threads, descriptors = growth.resident_mb, growth.threads, growth.descriptors
    values = (memory[1] / memory[0] - 1, threads[1] - threads[0], descriptors[1] - descriptors[0])
    notes = (
        f"{memory[0]:.1f} → {memory[1]:.1f} MB in {growth.seconds:.0f} s, {growth.resident_mb_per_h:+.1f} MB/h",
        f"{threads[0]:.0f} → {threads[1]:.0f}, {growth.threads_per_h:+.1f}/h",
        f"{descriptors[0]:.0f} → {descriptors[1]:.0f}, {growth.descriptors_per_h:+.1f}/h",
    )
    return [
        targets.check(name, value, "≤", limit, unit=unit, note=note)
        for (name, limit, unit), value, note in zip(limits, values, notes, strict=True)
    ]
