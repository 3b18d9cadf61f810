"""A small scripted shelf for tests, and a camera loop over it whose model knows the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import numpy as np

from edge import loop
from edge.clock import Clock
from edge.config import ShelfConfig, SlotConfig
from edge.data import Classes, Frame, Region, Score, ShelfEvent
from edge.events import EventCounter, EventFactory
from edge.manifest import InputSpec, Resize
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.monitor.vitals import SlotCounts
from edge.scene.script import Action, Script
from edge.scene.scripted import ScriptedShelf, drawn_sprites
from edge.scene.shelf import slot_grid
from edge.shelf.base import Pictures
from edge.shelf.layout import Watched, watch
from edge.shelf.reference import Reference
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage

SIZE_HW_PX = (360, 640)
ROWS, COLUMNS, FPS = 2, 3, 10.0
GRID = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
NAMES = [slot.name for slot in GRID]
CONFIGS = [SlotConfig(name=slot.name, box=slot.box_xyxy_px) for slot in GRID]
DWELL_S = ShelfConfig().dwell_ms / 1000
_X0, _Y0, _X1, _Y1 = GRID[0].box_xyxy_px
SPRITES = drawn_sprites(12, 4, (_Y1 - _Y0, _X1 - _X0))
PRODUCTS = list(SPRITES)
FULL: dict[str, str | None] = dict(zip(NAMES, PRODUCTS, strict=False))
NOISE = Action(0.0, "noise", last_s=10_000.0, amount=4.0)
_SPEC = InputSpec(
    name="x",
    batch="dynamic",
    height_px=8,
    width_px=8,
    layout="NHWC",
    dtype="uint8",
    colour="RGB",
    resize=Resize(fit="stretch"),
    normalise="folded",
)


@dataclass
class Told:
    """What came out: (seconds of the script, event), and how many slots the model was asked about."""

    events: list[tuple[float, ShelfEvent]]
    asked: int = 0

    def changes(self) -> list[tuple[str, str | None]]:
        """(type, slot) of slots' events."""
        return [(event.type or "", event.slot) for _, event in self.of_slots()]

    def of_slots(self) -> list[tuple[float, ShelfEvent]]:
        """(seconds of the script, event) of slots' events."""
        return [(at_s, event) for at_s, event in self.events if event.kind == "event"]

    def statuses(self, type_: str) -> list[tuple[str, ...]]:
        """Flags of the status events of that type."""
        return [event.flags for _, event in self.events if event.type == type_]

    def reports(self, type_: str) -> list[dict[str, tuple[str, str | None]]]:
        """Of the status events of that type: slot → what it holds, and its label or the reason."""
        said = [event.slots for _, event in self.events if event.type == type_]
        return [{slot.name: (slot.holds, slot.label or slot.reason) for slot in slots} for slots in said]

    def views(self) -> list[str]:
        """States of the view."""
        return [event.flags[0] for _, event in self.events if event.type == "view"]


class _Truthful:
    """A model that names what the script says is there."""

    def __init__(self, script: Script, told: Told) -> None:
        self._script, self._told, self.now_s = script, told, 0.0

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        return (batch,)

    def decode(self, raw: object, crops: Sequence[Region]) -> list[Region]:
        self._told.asked += len(crops)
        shelf = self._script.products_at(self.now_s)
        return [
            replace(region, answers=(Classes("truth", (Score(shelf[region.slot][0] or "a hand", 0, 0.9),)),))
            for region in crops
        ]

    def current(self) -> ActiveModel:
        return ActiveModel("truth", _SPEC, self, self)  # type: ignore[arg-type]

    def close(self) -> None:
        pass


def script_of(*actions: Action, start: dict[str, str | None] | None = None, end_s: float = 12.0) -> Script:
    """Under noise, from a full shelf."""
    return Script(FULL if start is None else start, tuple(sorted((NOISE, *actions), key=lambda a: a.at_s)), end_s)


def shelf_of(
    scene: ScriptedShelf, *, reference: bool = True, counts: SlotCounts | None = None, pictures: Pictures | None = None
) -> Watched:
    """What watches it."""
    events = EventFactory("cam", "b", "m", EventCounter())
    base = Reference(scene.empty()) if reference else None
    return watch(CONFIGS, ShelfConfig(), SIZE_HW_PX, base, events, counts=counts, pictures=pictures)


def play(
    script: Script,
    *,
    reference: bool = True,
    watched: Watched | None = None,
    from_s: float = 0.0,
    scene: ScriptedShelf | None = None,
    small_of: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Told:
    """The script through the real loop. ``scene``: of the same script, drawn otherwise; ``small_of``: makes the small picture of a
    camera that has one."""
    scene = scene or ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    told = Told([])
    model = _Truthful(script, told)
    found = watched or shelf_of(scene, reference=reference)

    class Outbox:
        def commit(self, events: Sequence[ShelfEvent], snapshot: bytes | None) -> None:
            told.events += [(model.now_s, event) for event in events]

        def close(self) -> None:
            pass

    def ticks() -> Iterator[Frame]:
        start = datetime(2026, 1, 1, tzinfo=timezone.utc)
        for index in range(int(from_s * FPS), int(script.end_s * FPS)):
            model.now_s = at_s = index / FPS
            pixels = scene.render(index, FPS)
            small = None if small_of is None else small_of(pixels)
            yield Frame(pixels, index, int(at_s * 1e9) + 1, start + timedelta(seconds=at_s), True, True, small=small)

    stopwatch = Stopwatch()
    stage = ModelStage(model, stopwatch.lap)
    loop.run(ticks(), loop.Parts(found.view, found.shelf, stage, Outbox(), Heartbeat(Clock()), stopwatch))
    return told
