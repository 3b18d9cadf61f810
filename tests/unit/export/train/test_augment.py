"""Views differ, stay pictures, and come from the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.train.augment import Augmentation, mixed, random_view

STILL = Augmentation(area_min=1.0, turn_deg=0, brightness=0, contrast=0, saturation=0, tint=0, erase=0, mix=0, flip=False)


@settings(max_examples=40)
@given(st.integers(2, 90), st.integers(2, 90), st.integers(16, 48), st.integers(16, 48), st.integers(0, 2**31))
def test_any_photo_gives_a_view_of_the_size(height: int, width: int, view_h: int, view_w: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    view = random_view(photo, (view_h, view_w), Augmentation(), np.random.default_rng(seed))
    assert view.shape == (view_h, view_w, 3)
    assert view.dtype == np.uint8
    np.testing.assert_array_equal(view, random_view(photo, (view_h, view_w), Augmentation(), np.random.default_rng(seed)))


def test_without_augmentation_a_view_is_a_cut_with_its_own_colours() -> None:
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    photo = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 90, np.uint8)], axis=2)
    for _ in range(20):
        view = random_view(photo, (32, 32), STILL, rng).astype(int)
        assert (view[..., 2] == 90).all()
        assert (np.diff(view[..., 0], axis=1) >= 0).all()
        assert np.ptp(view[..., 0], axis=0).max() <= 1
        assert max(np.ptp(view[..., 0]), np.ptp(view[..., 1])) >= 225  # all of the area: at most a fifth of a side is cut


def test_views_of_one_photo_differ_in_place_and_colour() -> None:
    rng = np.random.default_rng(2)
    photo = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    views = [random_view(photo, (32, 32), Augmentation(), rng) for _ in range(8)]
    assert len({view.tobytes() for view in views}) == 8
    assert np.std([view.mean() for view in views]) > 3


def test_a_mirrored_view_only_where_it_may_be() -> None:
    photo = np.zeros((32, 32, 3), dtype=np.uint8)
    photo[:, :8] = 255
    rng = np.random.default_rng(3)
    bright_left = [random_view(photo, (32, 32), STILL, rng)[:, :4].mean() > 128 for _ in range(30)]
    assert all(bright_left)


@pytest.mark.parametrize("seed", range(12))
def test_mixed_targets_stay_probabilities_and_follow_the_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = np.zeros((4, 16, 16, 3), dtype=np.float32)
    views[2:] = 255.0
    targets = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    pixels, probabilities = mixed(views, targets, Augmentation(mix=1.0), rng)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(pixels.mean(axis=(1, 2, 3)) / 255, probabilities[:, 1], atol=1e-5)
