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


QUAD = ((60, 10), (150, 25), (140, 90), (50, 80))


@pytest.mark.parametrize(
    ("corners", "size_wh", "box"),
    [
        (QUAD, (91, 71), (50, 10, 150, 90)),  # the upper and the left side are the longer ones
        (((50, 80), (140, 90), (150, 25), (60, 10))[::-1], (91, 71), (50, 10, 150, 90)),
        (((60, 10), (140, 10), (160, 90), (40, 70)), (122, 82), (40, 10, 160, 90)),  # the lower and the right one
        (((40, 10), (160, 10), (140, 90), (60, 70)), (120, 82), (40, 10, 160, 90)),  # the upper and the right one
        (((40, 10), (140, 30), (150, 60), (40, 90)), (114, 80), (40, 10, 150, 90)),  # the lower and the left one
        (((10, 10), (16, 10), (56, 60), (50, 60)), (8, 64), (10, 10, 56, 60)),  # thin
        (((10, 10), (60, 50), (60, 56), (10, 16)), (64, 8), (10, 10, 60, 56)),
    ],
)
def test_a_quad_comes_out_as_large_as_its_longer_sides(corners, size_wh, box):
    found = place(corners, SIZE_HW)
    assert (found.size_wh_px, found.box_xyxy_px) == (size_wh, box)
    assert found.matrix is not None
    w, h = size_wh
    for (x, y), flat in zip(corners, [(0, 0), (w, 0), (w, h), (0, h)], strict=True):
        at = found.matrix @ np.array([x, y, 1.0])
        np.testing.assert_allclose(at[:2] / at[2], flat, atol=1e-3)
    assert found.cut(np.zeros((100, 200, 3), np.uint8)).shape == (h, w, 3)


def test_a_box_knows_its_size_and_takes_part_pixels_whole():
    found = place(((20.4, 10.6), (60.2, 90.5)), SIZE_HW)
    assert found.box_xyxy_px == (20, 10, 61, 91)
    assert found.size_wh_px == (41, 81)
    assert found.matrix is None


@pytest.mark.parametrize("whole", [((0, 0), (200, 100)), ((0, 0), (1, 1))])
def test_a_slot_may_be_the_whole_frame(whole):
    assert place(whole, SIZE_HW).box_xyxy_px == (0, 0, 200, 100)


def test_one_number_above_one_makes_all_of_them_pixels():
    with pytest.raises(ValueError, match="smaller than"):
        place(((0.1, 0.1), (0.3, 1.5)), SIZE_HW)


@pytest.mark.parametrize("corners", [((20, 10), (28, 18)), ((192, 92), (200, 100))])
def test_eight_pixels_are_enough(corners):
    assert place(corners, SIZE_HW).size_wh_px == (8, 8)


def test_a_region_of_a_quad_knows_the_way_back_to_its_frame():
    frame = np.random.default_rng(1).integers(0, 255, (100, 200, 3), dtype=np.uint8)
    found = place(QUAD, SIZE_HW)
    region = found.region("A1", frame)
    assert (region.slot, region.box_xyxy_px) == ("A1", found.box_xyxy_px)
    np.testing.assert_array_equal(region.pixels, found.cut(frame))
    assert region.to_frame is not None
    at = region.to_frame @ np.array([91, 71, 1.0])
    np.testing.assert_allclose(at[:2] / at[2], QUAD[2], atol=1e-3)
    box = place(((20, 10), (60, 90)), SIZE_HW).region("A2", frame)
    assert box.to_frame is None
    assert np.shares_memory(box.pixels, frame)


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        (((0, 0), (201, 50)), "outside the frame of 200×100"),
        (((0, 0), (50, 101)), "outside"),
        (((-1, 0), (50, 50)), "outside"),
        (((0, -1), (50, 50)), "outside"),
        (((10, 10), (12, 90)), "smaller than 8×8"),
        (((10, 10), (17, 90)), "smaller than 8×8"),
        (((10, 10), (90, 17)), "smaller than 8×8"),
        (((10, 10), (50, 10), (90, 10), (50, 60)), "clockwise"),
        (((10, 10), (90, 10), (90, 60), (50, 10)), "clockwise"),
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
