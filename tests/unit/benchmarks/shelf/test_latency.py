"""The busy script, and latencies from what was reported."""

from __future__ import annotations

import pytest

from benchmarks.shelf.latency import LatencyRun, SlotChange, busy_script, changes_of, match
from benchmarks.shelf.play import COLUMNS, ROWS, SIZE_HW_PX
from edge.config import ShelfConfig
from edge.scene.script import REACH_S
from edge.scene.scripted import ScriptedShelf, drawn_sprites
from edge.scene.shelf import slot_grid

MS = 1_000_000
SLOTS = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
NAMES = [slot.name for slot in SLOTS]
SPRITES = drawn_sprites(24, 1, (100, 80))
SCRIPT = busy_script(17, NAMES, list(SPRITES))


def test_the_full_bench_has_enough_events_for_a_p99_in_less_than_three_minutes() -> None:
    changes = [action for action in SCRIPT.actions if action.slot is not None]
    assert len(changes) >= 200
    assert SCRIPT.end_s < 180
    assert len(SCRIPT.events()) == len(changes), "each change is an event"


def test_no_hand_comes_before_the_events_beneath_it_are_out() -> None:
    dwell_s = ShelfConfig().dwell_ms / 1000
    rows = {name: index // COLUMNS for index, name in enumerate(NAMES)}
    actions = [action for action in SCRIPT.actions if action.slot is not None]
    for one in actions:
        for other in actions:
            if other.at_s > one.at_s and rows[other.slot] <= rows[one.slot]:
                assert other.at_s - REACH_S > one.at_s + REACH_S + dwell_s


def test_the_frame_of_rest_is_the_first_without_the_hand_in_the_slot() -> None:
    scene = ScriptedShelf(busy_script(1, NAMES, list(SPRITES)), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    still = ScriptedShelf(busy_script(1, NAMES, list(SPRITES)), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    for change in changes_of(scene, 15.0)[:: COLUMNS + 1]:
        x0, y0, x1, y1 = next(slot.box_xyxy_px for slot in SLOTS if slot.name == change.slot)

        def apart(frame: int, change=change, x0=x0, y0=y0, x1=x1, y1=y1) -> float:
            after = still.render(change.rest_frame + 8, 15.0)[y0:y1, x0:x1].astype(int)
            return float(abs(scene.render(frame, 15.0)[y0:y1, x0:x1].astype(int) - after).max(axis=2).mean())

        assert apart(change.rest_frame) < 8, "noise alone"
        assert apart(change.rest_frame - 6) > 8


def test_latencies_count_from_when_the_frame_of_rest_was_due() -> None:
    changes = [SlotChange("A", 10), SlotChange("B", 10), SlotChange("A", 40), SlotChange("B", 40)]
    reported = [("A", 19, 1_950 * MS), ("B", 20, 2_080 * MS), ("A", 49, 4_990 * MS), ("A", 5, 600 * MS)]
    latencies, missed = match(changes, reported, lambda frame: frame * 100 * MS)
    assert sorted(latencies) == [950.0, 990.0, 1080.0]
    assert missed == 1, "B's second change"


def test_the_limit_is_dwell_and_frame_and_two_batches() -> None:
    run = LatencyRun(
        latencies_ms=(900.0,) * 10,
        missed=0,
        batches_ms=(20.0,) * 10,
        frames=9,
        late_frames=0,
        late_ms=0.0,
        seconds=1.0,
        dwell_ms=800.0,
        fps=10.0,
    )
    assert run.limit_ms == pytest.approx(940.0)
    assert run.latency.p99_ms == 900.0
