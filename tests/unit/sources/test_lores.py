"""Which small picture of a camera can stand for its frame."""

from __future__ import annotations

import pytest

from edge.sources.lores import fits


@pytest.mark.parametrize(
    ("small_hw", "frame_hw", "can"),
    [
        ((180, 320), (720, 1280), True),
        ((360, 640), (720, 1280), True),
        ((720, 1280), (720, 1280), True),
        ((90, 160), (720, 1280), False),
        ((240, 320), (720, 1280), False),
        ((1440, 2560), (720, 1280), False),
        ((121, 162), (486, 648), False),
        ((38, 50), (152, 200), True),
    ],
)
def test_which_small_picture_can_stand_for_a_frame(small_hw: tuple[int, int], frame_hw: tuple[int, int], can: bool) -> None:
    assert fits(small_hw, frame_hw) is can
