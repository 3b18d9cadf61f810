"""Scripted shelves through the real loop: what is reported, and what watching costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from benchmarks.record.schema import Round
from benchmarks.shelf.score import Reported, ShelfScore, score
from edge import loop
from edge.choice.loader import FixedModel
from edge.clock import Clock
from edge.config import ShelfConfig, SlotConfig
from edge.data import Frame, Region, ShelfEvent, Tick, U8Image, ViewState
from edge.events import EventCounter, EventFactory
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.preprocess import preprocess
from edge.scene.script import Script, write_script
from edge.scene.scripted import ScriptedShelf, drawn_sprites, photo_sprites
from edge.scene.shelf import SceneSlot, slot_grid
from edge.shelf.base import Shelf, ViewHealth
from edge.shelf.layout import watch
from edge.shelf.reference import Reference
from edge.shelf.slots import SlotShelf
from edge.shelf.whole_frame import Unchecked
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage

SIZE_HW_PX = (720, 1280)
ROWS, COLUMNS = 3, 4
_PRODUCTS = 24
_START_UTC = datetime(2026, 1, 1, tzinfo=timezone.utc)
_IDLE_FRAMES, ROUNDS = 40, 5


class Recorder:
    """An outbox that remembers what was committed, and when by the script's clock."""

    def __init__(self) -> None:
        self.reported: list[Reported] = []
        self.now_s = 0.0

    def commit(self, events: Sequence[ShelfEvent], snapshot: bytes | None) -> None:
        """Keep them."""
        self.reported += [(self.now_s, event) for event in events]

    def close(self) -> None:
        """Nothing to do."""


class _Ungated:
    """The same slots, all inferred in every frame."""

    def __init__(self, shelf: SlotShelf) -> None:
        self._shelf = shelf

    def changed(self, tick: Tick, view: ViewState) -> list[Region]:
        """All of them."""
        return [slot.place.region(slot.name, tick.pixels) for slot in self._shelf.slots] if isinstance(tick, Frame) else []

    def update(self, tick: Tick, seen: Sequence[Region], view: ViewState) -> list[ShelfEvent]:
        """Nothing is reported."""
        return []

    def relearn(self) -> None:
        """Nothing was learned."""

    def snapshot(self) -> bytes:
        """Nothing is remembered."""
        return b"{}"


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """Which script to play: ``name`` and ``seed`` as ``write_script`` takes them."""

    name: str
    seed: int
    duration_s: float
    fps: float
    photos: Path | None


def play(run: ScriptRun, model: ActiveModel) -> ShelfScore:
    """One script through the loop, from the first frame to the last."""
    slots = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
    sprites = make_sprites(slots, run.seed, run.photos)
    names = [slot.name for slot in slots]
    script = write_script(run.name, run.seed, names, list(sprites), duration_s=run.duration_s)
    scene = ScriptedShelf(script, sprites, run.seed, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    return score(script, reported_of(scene, run.fps, model), ShelfConfig().dwell_ms / 1000)


def reported_of(scene: ScriptedShelf, fps: float, model: ActiveModel) -> list[Reported]:
    """What the loop reports of a scripted shelf, from the first frame to the last, with the script's own time and the empty shelf as
    reference."""
    recorder, empty = Recorder(), scene.empty()
    watched = watch(slot_configs(scene.slots), ShelfConfig(), empty.shape[:2], Reference(empty), _events())
    loop.run(_ticks(scene, scene.script, fps, recorder), _parts(watched.view, watched.shelf, model, recorder))
    return recorder.reported


@dataclass(frozen=True, slots=True)
class PairedRounds:
    """Rounds of two loops in turn: those of ``numerator`` and ``denominator``, pair by pair."""

    numerator: list[Round]
    denominator: list[Round]


def idle_rounds(model: ActiveModel, photos: Path | None, advance: Callable[[], None]) -> PairedRounds:
    """The gated loop, and the same loop that infers every slot of every frame, on frames in which nothing happens. A query is a frame;
    ``cpu_s`` is what counts."""
    scene, slots = _quiet(photos)
    frames = [_frame(scene, index, 10.0) for index in range(_IDLE_FRAMES + 20)]
    sides: tuple[list[Round], list[Round]] = ([], [])
    for _ in range(ROUNDS):
        for gated, rounds in zip((True, False), sides, strict=True):
            watched = watch(slot_configs(slots), ShelfConfig(), SIZE_HW_PX, Reference(scene.empty()), _events())
            shelf = watched.shelf if gated else _Ungated(watched.shelf)
            parts = _parts(watched.view if gated else Unchecked(), shelf, model)
            loop.run(frames[:20], parts)  # every slot is learned
            start, cpu = time.perf_counter(), time.process_time()
            loop.run(frames[20:], parts)
            spent = time.process_time() - cpu
            rounds.append(Round(queries=_IDLE_FRAMES, seconds=time.perf_counter() - start, cpu_s=spent))
        advance()
    return PairedRounds(*sides)


def busy_rounds(model: ActiveModel, photos: Path | None, advance: Callable[[], None]) -> PairedRounds:
    """The loop in which every slot of every frame changes, and the bare backend that is handed the same batches, ready made. A query is a
    slot."""
    scene, slots = _quiet(photos)
    frames = [_frame(scene, index, 10.0) for index in range(_IDLE_FRAMES // 2)]
    ungated = _Ungated(watch(slot_configs(slots), ShelfConfig(), SIZE_HW_PX, None, _events()).shelf)
    batches = [preprocess(ungated.changed(frame, ViewState.CLEAR), model.input) for frame in frames]
    count, looped, bare = len(frames) * len(slots), [], []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        loop.run(frames, _parts(Unchecked(), ungated, model))
        between = time.perf_counter()
        for batch in batches:
            model.backend.run(batch)
        looped.append(Round(queries=count, seconds=between - start))
        bare.append(Round(queries=count, seconds=time.perf_counter() - between))
        advance()
    return PairedRounds(looped[1:], bare[1:])  # the first warms up


def _quiet(photos: Path | None) -> tuple[ScriptedShelf, Sequence[SceneSlot]]:
    slots = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
    sprites = make_sprites(slots, 1, photos)
    script = write_script("quiet", 1, [slot.name for slot in slots], list(sprites), duration_s=600)
    return ScriptedShelf(script, sprites, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS), slots


def _parts(view: ViewHealth, shelf: Shelf, model: ActiveModel, outbox: Recorder | None = None) -> loop.Parts:
    stopwatch = Stopwatch()
    stage = ModelStage(FixedModel(model), stopwatch.lap)
    return loop.Parts(view, shelf, stage, outbox or Recorder(), Heartbeat(Clock()), stopwatch)


def _events() -> EventFactory:
    return EventFactory("bench", "b", "m", EventCounter())


def _ticks(scene: ScriptedShelf, script: Script, fps: float, recorder: Recorder) -> Iterator[Frame]:
    for index in range(int(script.end_s * fps)):
        recorder.now_s = index / fps
        yield _frame(scene, index, fps)


def _frame(scene: ScriptedShelf, index: int, fps: float) -> Frame:
    """Dated by the script, however long drawing takes."""
    at_s = index / fps
    return Frame(scene.render(index, fps), index, int(at_s * 1e9), _START_UTC + timedelta(seconds=at_s), True, simulated=True)


def make_sprites(slots: Sequence[SceneSlot], seed: int, photos: Path | None) -> dict[str, U8Image]:
    """Products for these slots, by name: photos, or drawn ones."""
    x0, y0, x1, y1 = slots[0].box_xyxy_px
    if photos is None:
        return drawn_sprites(_PRODUCTS, seed, (y1 - y0, x1 - x0))
    return photo_sprites(photos, _PRODUCTS, seed, (y1 - y0, x1 - x0))


def slot_configs(slots: Sequence[SceneSlot]) -> list[SlotConfig]:
    """The slots as a site writes them."""
    return [SlotConfig(name=slot.name, box=slot.box_xyxy_px) for slot in slots]
