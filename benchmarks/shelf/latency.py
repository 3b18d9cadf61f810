"""From the capture of the frame in which a slot came to rest to its committed event, in real time."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.record.schema import Percentiles, percentiles_of
from benchmarks.shelf.play import COLUMNS, ROWS, SIZE_HW_PX, make_sprites, slot_configs
from edge import loop
from edge.choice.loader import FixedModel
from edge.clock import Clock
from edge.config import ShelfConfig
from edge.data import Frame, ShelfEvent
from edge.events import EventFactory
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.scene.script import REACH_S, Action, Script
from edge.scene.scripted import ScriptedShelf
from edge.scene.shelf import slot_grid
from edge.shelf.layout import watch
from edge.shelf.reference import Reference
from edge.sink_config import JsonLinesConfig
from edge.sinks.base import Sink, SinkSite
from edge.sinks.jsonl import JsonLines
from edge.sinks.outbox import StoredOutbox
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage

FPS = 15.0
"""No divisor of the dwell time, so that the look falls between two frames, as with most cameras."""
_FIRST_S = 3.0
_ROW_S = 2 * REACH_S
_PAUSE_S = 1.2  # more than the dwell time: the lowest row's events are out before hands come again
_ROUND_S = ROWS * _ROW_S + _PAUSE_S


@dataclass(frozen=True, slots=True)
class SlotChange:
    """What was done to ``slot``; ``rest_frame``: the first in which the hand has left its box."""

    slot: str
    rest_frame: int


@dataclass(frozen=True, slots=True)
class LatencyRun:
    """``latencies_ms``: one an event; ``missed``: changes without one; ``batches_ms``: preprocessing, inference and decoding of each batch;
    ``late_frames``: that were drawn later than they were due, by ``late_ms`` at most; ``seconds`` from the first frame to the last."""

    latencies_ms: tuple[float, ...]
    missed: int
    batches_ms: tuple[float, ...]
    frames: int
    late_frames: int
    late_ms: float
    seconds: float
    dwell_ms: float
    fps: float

    @property
    def latency(self) -> Percentiles:
        """Of the events."""
        return percentiles_of(self.latencies_ms)

    @property
    def batch(self) -> Percentiles:
        """Of the batches."""
        return percentiles_of(self.batches_ms)

    @property
    def limit_ms(self) -> float:
        """Dwell time + one frame period + twice the batch's p99."""
        return self.dwell_ms + 1000 / self.fps + 2 * self.batch.p99_ms


def busy_script(rounds: int, names: Sequence[str], products: Sequence[str]) -> Script:
    """All slots of a row change at once, one row after the other from above, since hands reach a row from below, past the rows beneath it.

    A slot in turn is emptied and filled with another product; half of a row begins full, so that each batch has several slots in it.
    """
    full = {name: index % 2 == 0 for index, name in enumerate(names)}
    start = {name: products[index % len(products)] if full[name] else None for index, name in enumerate(names)}
    actions = [Action(0.0, "noise", last_s=_FIRST_S + (rounds + 1) * _ROUND_S, amount=4.0)]
    for turn in range(rounds):
        for index, name in enumerate(names):
            at_s = _FIRST_S + turn * _ROUND_S + (index // COLUMNS) * _ROW_S
            product = products[(index + 5 * (turn + 1)) % len(products)]
            actions.append(Action(at_s, "take", name) if full[name] else Action(at_s, "restock", name, product))
            full[name] = not full[name]
    return Script(start, tuple(actions), _FIRST_S + rounds * _ROUND_S)


def changes_of(scene: ScriptedShelf, fps: float) -> list[SlotChange]:
    """Every change of a slot, in the order of the script."""
    return [
        SlotChange(action.slot, math.ceil((action.at_s + scene.free_after_s(action.slot)) * fps - 1e-6))
        for action in scene.script.actions
        if action.slot is not None
    ]


def match(
    changes: Sequence[SlotChange], reported: Sequence[tuple[str, int, int]], due_ns: Callable[[int], int]
) -> tuple[list[float], int]:
    """(milliseconds from when the frame of rest was due to the commit, for each change that was reported; changes that were not).

    Args:
        changes: of the script.
        reported: (slot, frame, ``monotonic_ns`` of the commit) of each event.
        due_ns: when a frame was due.
    """
    by_slot: dict[str, list[tuple[int, int]]] = {}
    for slot, frame, committed_ns in reported:
        by_slot.setdefault(slot, []).append((frame, committed_ns))
    latencies, missed = [], 0
    for slot in {change.slot for change in changes}:
        rests = [change.rest_frame for change in changes if change.slot == slot]
        for rest, until in zip(rests, [*rests[1:], None], strict=True):
            found = next(
                (ns for frame, ns in by_slot.get(slot, []) if frame >= rest and (until is None or frame < until)), None
            )
            if found is None:
                missed += 1
            else:
                latencies.append((found - due_ns(rest)) / 1e6)
    return latencies, missed


class _PacedShelf:
    """Frame k is due at start + k ÷ fps, whatever the loop does; it is drawn in the pause before it, and waits for its time. A frame that
    the loop was not there for is handed over late and keeps its date, so that what it cost counts."""

    def __init__(self, scene: ScriptedShelf, frames: int, fps: float) -> None:
        self._scene, self._frames, self._fps = scene, frames, fps
        self._start_ns = 0
        self.late_ns: list[int] = []

    def due_ns(self, index: int) -> int:
        """By ``time.monotonic_ns``."""
        return self._start_ns + round(index * 1e9 / self._fps)

    def __iter__(self) -> Iterator[Frame]:
        self._start_ns = time.monotonic_ns() + 500_000_000
        for index in range(self._frames):
            pixels, due_ns = self._scene.render(index, self._fps), self.due_ns(index)
            wait_ns = due_ns - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            self.late_ns.append(max(0, -wait_ns))
            yield Frame(pixels, index, due_ns, datetime.now(timezone.utc), True)


class _TimedOutbox:
    """The outbox, and when each slot's event was committed."""

    def __init__(self, outbox: StoredOutbox) -> None:
        self._outbox = outbox
        self.counter = outbox.counter
        self.reported: list[tuple[str, int, int]] = []

    def commit(self, events: Sequence[ShelfEvent], snapshot: bytes | None) -> None:
        """Pass on, then look at the clock."""
        self._outbox.commit(events, snapshot)
        now_ns = time.monotonic_ns()
        self.reported += [
            (e.slot, e.seq, now_ns) for e in events if e.kind == "event" and e.slot is not None and e.seq is not None
        ]

    def close(self) -> None:
        """Of the outbox."""
        self._outbox.close()


class _BatchStopwatch(Stopwatch):
    """Keeps the sum of the stages of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches_ms: list[float] = []
        self._begun_ns = 0

    def lap(self, stage: str, *, counts: bool = True) -> None:
        """Also adds up."""
        super().lap(stage, counts=counts)
        if stage == "capture":
            self._begun_ns = self._last_ns
        elif stage == "decode":
            self.batches_ms.append((self._last_ns - self._begun_ns) / 1e6)


def time_events(
    model: ActiveModel, bundle: str, photos: Path | None, rounds: int, advance: Callable[[int], None], *, fps: float = FPS
) -> LatencyRun:
    """``rounds`` times every slot changes, in real time, through the loop and the stored outbox of a camera (synced to the disk)."""
    slots = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
    sprites, rules, names = make_sprites(slots, 1, photos), ShelfConfig(), [slot.name for slot in slots]
    script = busy_script(rounds, names, list(sprites))
    scene = ScriptedShelf(script, sprites, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    source, stopwatch, clock = _PacedShelf(scene, math.ceil(script.end_s * fps), fps), _BatchStopwatch(), Clock()
    with tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place:
        sinks: dict[str, Sink] = {
            "jsonl": JsonLines(JsonLinesConfig(path=str(Path(place) / "events.jsonl")), SinkSite("bench", durable=True))
        }
        with closing(_TimedOutbox(StoredOutbox(Path(place), sinks, bundle=bundle, live=True))) as outbox:
            events = EventFactory("bench", "b", model.candidate, outbox.counter)
            watched = watch(slot_configs(slots), rules, SIZE_HW_PX, Reference(scene.empty()), events)
            parts = loop.Parts(
                watched.view, watched.shelf, ModelStage(FixedModel(model), stopwatch.lap), outbox, Heartbeat(clock), stopwatch
            )
            start_s = time.perf_counter()
            loop.run(_advancing(source, advance), parts)
            seconds = time.perf_counter() - start_s
    latencies, missed = match(changes_of(scene, fps), outbox.reported, source.due_ns)
    late = [ns for ns in source.late_ns if ns > 0]
    return LatencyRun(
        latencies_ms=tuple(latencies),
        missed=missed,
        batches_ms=tuple(stopwatch.batches_ms),
        frames=len(source.late_ns),
        late_frames=len(late),
        late_ms=max(late, default=0) / 1e6,
        seconds=seconds,
        dwell_ms=float(rules.dwell_ms),
        fps=fps,
    )


def _advancing(source: _PacedShelf, advance: Callable[[int], None]) -> Iterator[Frame]:
    for frame in source:
        advance(frame.seq)
        yield frame
