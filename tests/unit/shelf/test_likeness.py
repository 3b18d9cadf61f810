"""The same thing again, or another one."""

from __future__ import annotations

import numpy as np
import pytest

from edge.scene.items import paste
from edge.scene.props import product_sprite
from edge.shelf.glance import glance_of
from edge.shelf.likeness import likeness
from edge.shelf.slots import _ALIKE

WALL = np.full((192, 160, 3), (188, 184, 172), np.uint8)
EMPTY = glance_of(WALL).small


def standing(product: str, left_px: int = 20, light: float = 1.0, seed: int = 0) -> np.ndarray:
    picture = WALL.copy()
    paste(picture, product_sprite(product, (180, 130)), left_px, 10)
    noisy = picture * light + np.random.default_rng(seed).normal(0, 4, picture.shape)
    return glance_of(np.clip(noisy, 0, 255).astype(np.uint8)).small / np.float32(light)


def test_a_thing_put_elsewhere_in_other_light_is_the_same():
    assert likeness(standing("red-can"), standing("red-can", 26, 0.7, 1), EMPTY) > _ALIKE


def test_other_things_are_not():
    for other in ("blue-can", "red-bottle", "green-carton", "white-jar"):
        assert likeness(standing("red-can"), standing(other), EMPTY) < _ALIKE, other


def test_nothing_is_like_nothing():
    bare = glance_of(WALL).small
    assert likeness(bare, bare, EMPTY) == -1.0
    assert likeness(standing("red-can"), standing("red-can"), None) > 0.99


def noise(seed: int, hw: tuple[int, int] = (20, 16), spread: float = 40.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(120, spread, (*hw, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("dy", "dx", "found"),
    [(0, 0, True), (2, 2, True), (-2, 2, True), (2, -2, True), (3, 0, False), (0, 3, False), (0, -3, False)],
)
def test_it_is_found_up_to_two_pixels_away_in_any_direction(dy: int, dx: int, found: bool) -> None:
    one = noise(1)
    alike = likeness(one, np.roll(one, (dy, dx), axis=(0, 1)), None)
    assert (alike > 0.999) is found
    assert found or alike < 0.3


@pytest.mark.parametrize(
    ("hw", "by", "found"), [((9, 9), 2, True), ((8, 9), 2, False), ((9, 8), 2, False), ((5, 6), 1, True), ((4, 9), 1, False)]
)
def test_in_a_small_slot_it_is_looked_for_less_far(hw: tuple[int, int], by: int, found: bool) -> None:
    one = noise(2, hw)
    assert (likeness(one, np.roll(one, by, axis=1), None) > 0.999) is found
    assert likeness(one, one, None) > 0.999, "where it was at all events"


def test_the_opposite_is_as_unlike_as_can_be_and_light_changes_nothing() -> None:
    one = noise(3, (4, 4))
    assert likeness(one, 250 - one, None) == pytest.approx(-1.0, abs=1e-5)
    assert likeness(one, one * np.float32(0.5) + 20, None) == pytest.approx(1.0, abs=1e-5)


def test_a_colour_is_part_of_the_looks() -> None:
    red, blue = np.full((2, 4, 4, 3), 60, np.float32)
    red[..., 0], blue[..., 2] = 200, 200
    assert likeness(red, red + noise(4, (4, 4), 2.0) - 120, None) > 0.99
    assert likeness(red, blue, None) == pytest.approx(-0.5, abs=1e-4), "by hand: (2·(−47)·(93) + 47²)/(93² + 2·47²)"


def test_flat_pictures_have_nothing_in_common() -> None:
    flat = np.full((4, 4, 3), 90, np.float32)
    assert likeness(flat, flat, None) == -1.0
    assert likeness(flat, noise(5, (4, 4)), None) == -1.0


@pytest.mark.parametrize(("level", "counts"), [(13.5, False), (14, False), (14.5, True)])
def test_only_what_differs_from_the_empty_slot_is_compared(level: float, counts: bool) -> None:
    """Twelve pixels are alike, the rest would spoil it if it counted."""
    empty = np.full((4, 6, 3), 100, np.float32)
    one, other = empty.copy(), empty.copy()
    one[:2] = other[:2] = empty[:2] + noise(6, (2, 6)) - 20
    one[2:, :, 0], other[2:, :, 1] = 100 + level, 100 - level
    assert (likeness(one, other, empty) < 0.9999) is counts


def test_what_only_one_of_the_two_shows_counts_too() -> None:
    empty = np.full((4, 6, 3), 100, np.float32)
    one, more = empty.copy(), empty.copy()
    one[:2] = more[:2] = empty[:2] + noise(6, (2, 6)) - 20
    more[2:] += np.random.default_rng(8).uniform(100, 112, (2, 6, 3)).astype(np.float32)
    assert likeness(one, one, empty) > 0.9999
    assert likeness(one, more, empty) < 0.9
    assert likeness(more, one, empty) == pytest.approx(likeness(one, more, empty))


@pytest.mark.parametrize(("pixels", "found"), [(11, -1.0), (12, 1.0)])
def test_a_dozen_pixels_are_enough(pixels: int, found: float) -> None:
    empty = np.full((4, 4, 3), 100, np.float32)
    one = empty.copy()
    one.reshape(-1, 3)[:pixels] += np.abs(noise(7, (1, pixels))[0])
    assert likeness(one, one, empty) == pytest.approx(found)
