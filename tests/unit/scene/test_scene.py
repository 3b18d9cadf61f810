"""The rendered shelves: repeatable, small, varied, and true to what they say."""

from __future__ import annotations

import io
import itertools

import cv2
import numpy as np
import pytest

from edge.scene import ShelfScene, golden_scenes
from edge.scene.items import ASPECT_W_H, KINDS, draw_item, paste
from edge.scene.shelf import _VISIT_S

FPS = 10.0
SIZE_HW = (240, 320)


@pytest.fixture(scope="module")
def golden() -> np.ndarray:
    return golden_scenes(64, 0, (224, 224))


@pytest.fixture(scope="module")
def scene() -> ShelfScene:
    return ShelfScene(3, SIZE_HW)


def test_golden_scenes_repeat_and_a_longer_set_starts_with_the_shorter(golden):
    assert golden.shape == (64, 224, 224, 3)
    assert golden.dtype == np.uint8
    np.testing.assert_array_equal(golden_scenes(3, 0, (224, 224)), golden[:3])
    assert (golden_scenes(3, 1, (224, 224)) != golden[:3]).any(axis=(1, 2, 3)).all()


def test_golden_scenes_fit_into_three_megabytes_however_they_are_packed(golden):
    archive = io.BytesIO()
    np.savez_compressed(archive, images=golden)
    assert len(archive.getvalue()) <= 3_000_000
    assert sum(len(cv2.imencode(".png", scene)[1]) for scene in golden) <= 3_000_000


def test_golden_scenes_are_rich_and_no_two_are_alike(golden):
    grey = golden.mean(axis=3)
    edges = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    assert (grey.std(axis=(1, 2)) > 12).all()
    assert np.median(edges) > 2
    small = grey.reshape(64, 8, 28, 8, 28).mean(axis=(2, 4)).reshape(64, -1)
    distance = np.abs(small[:, None] - small[None]).mean(axis=2)
    assert distance[~np.eye(64, dtype=bool)].min() > 5
    assert golden.mean(axis=(1, 2)).std(axis=0).min() > 10  # light and colour vary, in each channel


@pytest.mark.parametrize("size_hw", [(32, 32), (64, 200), (300, 96)])
def test_golden_scenes_come_in_any_size(size_hw):
    assert golden_scenes(3, 5, size_hw).shape == (3, *size_hw, 3)


def test_a_golden_scene_too_small_to_show_anything_is_refused():
    with pytest.raises(ValueError, match="32×32"):
        golden_scenes(1, 0, (31, 64))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_good_fills_its_sprite_and_leaves_the_corners_free(kind):
    sprite = draw_item(kind, (90, int(90 * ASPECT_W_H[kind])), (200, 40, 40), np.random.default_rng(0))
    alpha = sprite[..., 3]
    assert sprite.dtype == np.uint8
    assert 0.3 < (alpha > 127).mean() < 0.98
    assert (alpha[:, : alpha.shape[1] // 8] > 127).any()
    assert (alpha[-8:] > 127).any()


def test_a_sprite_is_cut_off_at_every_edge():
    sprite = np.full((10, 10, 4), 255, dtype=np.uint8)
    canvas = np.zeros((20, 20, 3), dtype=np.uint8)
    for left, top in ((-5, -5), (15, 15), (-10, 0), (20, 0), (0, 20), (0, -10)):
        paste(canvas, sprite, left, top)
    assert np.count_nonzero(canvas[..., 0]) == 50


def test_a_frame_depends_on_seed_and_index_alone(scene):
    again = ShelfScene(3, SIZE_HW)
    for index in (200, 3, 45, 45, 0):  # in any order: nothing is remembered that shows
        np.testing.assert_array_equal(scene.render(index, FPS), again.render(index, FPS))
    assert (ShelfScene(4, SIZE_HW).render(0, FPS) != scene.render(0, FPS)).any()


def test_frames_are_new_arrays_with_noise(scene):
    one, two = scene.render(0, FPS), scene.render(1, FPS)
    assert one.shape == (*SIZE_HW, 3)
    assert one.flags.owndata
    assert one.flags.c_contiguous
    difference = one.astype(int) - two
    assert 0.5 < difference.std() < 4
    assert abs(difference.mean()) < 1


def test_things_happen_and_the_truth_tells_them(scene):
    truths = [scene.truth(index, 2.0) for index in range(int(20 * _VISIT_S * 2.0))]
    changes = {"taken": 0, "returned": 0, "replaced": 0}
    for old, new in itertools.pairwise(truths):
        for slot in old:
            before, after = old[slot], new[slot]
            if before.product != after.product:
                assert before.covered, "goods change only behind the hand"
                assert after.covered, "goods change only behind the hand"
                changes["taken" if after.product is None else "returned" if before.product is None else "replaced"] += 1
    assert min(changes.values()) >= 1
    covered = np.mean([slot.covered for truth in truths for slot in truth.values()])
    assert 0 < covered < 0.5
    assert set(truths[0]) == {slot.name for slot in scene.slots}


def test_the_schedule_closes_so_that_it_can_go_on_for_ever(scene):
    length = len(scene._visits)
    assert scene._visits[-1].after == scene._visits[0].before
    late = scene.truth(int(1000 * length * _VISIT_S * FPS), FPS)
    assert late == scene.truth(0, FPS)


def test_pixels_follow_the_truth(scene):
    """A slot looks like itself while its truth stays, and different once its product has gone; covered frames aside."""
    first, last = scene.truth(0, FPS), None
    pictures = scene.render(0, FPS).astype(float)
    for index in range(0, int(30 * _VISIT_S * FPS), 7):
        frame, truth = scene.render(index, FPS).astype(float), scene.truth(index, FPS)
        gain = frame[:4].mean() / pictures[:4].mean()
        for slot in scene.slots:
            if truth[slot.name].covered:
                continue
            x0, y0, x1, y1 = slot.box_xyxy_px
            apart = np.abs(frame[y0:y1, x0:x1] / gain - pictures[y0:y1, x0:x1]).mean()
            same = truth[slot.name].product == first[slot.name].product
            assert (apart < 6) == same, (index, slot.name, apart, truth[slot.name], first[slot.name])
            last = last or (slot.name if not same else None)
    assert last is not None


def test_slots_lie_inside_the_frame_and_apart():
    for rows, columns in ((1, 1), (2, 4), (3, 6)):
        scene = ShelfScene(0, (480, 640), rows=rows, columns=columns)
        taken = np.zeros((480, 640), dtype=int)
        for slot in scene.slots:
            x0, y0, x1, y1 = slot.box_xyxy_px
            assert 0 <= x0 < x1 <= 640
            assert 0 <= y0 < y1 <= 480
            taken[y0:y1, x0:x1] += 1
        assert taken.max() == 1
        assert len({slot.name for slot in scene.slots}) == rows * columns
        scene.render(45, FPS)


@pytest.mark.parametrize(("size_hw", "grid"), [((95, 200), {}), ((480, 640), {"rows": 0}), ((480, 640), {"columns": 0})])
def test_a_shelf_without_room_is_refused(size_hw, grid):
    with pytest.raises(ValueError, match="needs at least"):
        ShelfScene(0, size_hw, **grid)
