"""Faults of the view: each is told, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from edge.scene.script import FAULT_OF, Action
from edge.scene.scripted import ScriptedShelf
from edge.shelf.glance import glance_of
from edge.shelf.view import background, shift_px
from tests.fakes.scripted_shelf import COLUMNS, GRID, NAMES, ROWS, SIZE_HW_PX, SPRITES, play, script_of


@pytest.mark.parametrize(("kind", "fault"), FAULT_OF.items())
def test_every_fault_is_told_within_five_seconds_and_so_is_its_end(kind: str, fault: str) -> None:
    told = play(script_of(Action(3.0, kind, last_s=5.0, amount=20.0)))
    assert told.views() == [fault, "clear"]
    begins, ends = (at_s for at_s, event in told.events if event.type == "view")
    assert 3.0 < begins <= 8.0
    assert 8.0 <= ends <= 10.0
    assert told.changes() == []
    first = next(event for _, event in told.events if event.type == "view")
    assert [flag.partition("=")[0] for flag in first.flags[1:]] == (["shift_px"] if kind == "bump" else [])
    assert [(slot.name, slot.holds, slot.reason) for slot in first.slots] == [(name, "unknown", fault) for name in NAMES]


def test_a_glimpse_is_no_fault() -> None:
    told = play(script_of(Action(3.0, "cover", last_s=0.8)))
    assert (told.views(), told.changes()) == ([], [])


@pytest.mark.parametrize("shift", [(12, 0), (0, 12), (-9, 9), (25, 5), (0, -16)])
def test_how_far_it_moved(shift: tuple[int, int]) -> None:
    import cv2

    script = script_of()
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    reference = glance_of(scene.empty())
    mask = np.ones(reference.small.shape[:2], dtype=bool)
    for slot in GRID:
        x0, y0, x1, y1 = (v // 8 for v in slot.box_xyxy_px)
        mask[y0 : y1 + 1, x0 : x1 + 1] = False
    frame = scene.render(50, 10)
    moved = cv2.warpAffine(
        frame, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), SIZE_HW_PX[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    found = shift_px(glance_of(moved).grey, background(reference, mask))
    for measured, true in zip(found, shift, strict=True):
        assert measured is None or abs(measured - true) < 0.35 * np.hypot(*shift)
    assert max(abs(along or 0.0) for along in found) > 0.6 * max(map(abs, shift))
