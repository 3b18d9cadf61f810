"""The same thing again, or another one."""

from __future__ import annotations

import numpy as np

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
