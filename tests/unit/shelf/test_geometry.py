"""Where a slot is."""

from __future__ import annotations

import numpy as np
import pytest

from edge.shelf.geometry import place

SIZE_HW = (100, 200)


def test_a_box_is_a_view_into_the_frame():
    frame = np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3)
    found = place(((20, 10), (60, 90)), SIZE_HW)
    assert found.box_xyxy_px == (20, 10, 60, 90)
    assert np.shares_memory(found.cut(frame), frame)
    np.testing.assert_array_equal(found.cut(frame), frame[10:90, 20:60])


def test_numbers_up_to_one_are_relative_to_the_frame():
    assert place(((0.1, 0.1), (0.3, 0.9)), SIZE_HW) == place(((20, 10), (60, 90)), SIZE_HW)


def test_four_corners_are_seen_from_the_front():
    """A square painted in perspective comes out flat, with its quarters where they belong."""
    import cv2

    flat = np.zeros((80, 80, 3), np.uint8)
    flat[:40, :40], flat[:40, 40:], flat[40:, 40:], flat[40:, :40] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
    corners = ((60, 10), (150, 25), (140, 90), (50, 80))
    matrix = cv2.getPerspectiveTransform(np.float32([(0, 0), (80, 0), (80, 80), (0, 80)]), np.float32(corners))
    frame = cv2.warpPerspective(flat, matrix, SIZE_HW[::-1])
    cut = place(corners, SIZE_HW).cut(frame)
    h, w = cut.shape[:2]
    assert w > h > 60
    quarters = [cut[h // 4, w // 4], cut[h // 4, 3 * w // 4], cut[3 * h // 4, 3 * w // 4], cut[3 * h // 4, w // 4]]
    for colour, expected in zip(quarters, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], strict=True):
        np.testing.assert_allclose(colour, expected, atol=3)


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        (((0, 0), (201, 50)), "outside the frame of 200×100"),
        (((10, 10), (12, 90)), "smaller than 8×8"),
        (((60, 10), (50, 80), (140, 90), (150, 25)), "clockwise"),
        (((60, 10), (70, 20), (60, 90), (50, 20)), None),
        (((50, 10), (150, 10), (90, 30), (50, 90)), "convex"),
    ],
)
def test_what_is_no_slot_is_refused(corners, words):
    if words is None:  # narrow, but convex and clockwise
        assert place(corners, SIZE_HW).matrix is not None
        return
    with pytest.raises(ValueError, match=words):
        place(corners, SIZE_HW)
