"""A camera's own small picture in place of the whole frame: for minutes of shelves the same is told."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from edge.scene.script import Script, write_script
from tests.fakes.lores import averaged, of_the_camera, picked, softened
from tests.fakes.scripted_shelf import NAMES, PRODUCTS, Told, play


def minute(name: str, seed: int) -> Script:
    return write_script(name, seed, NAMES, PRODUCTS, duration_s=60.0)


@functools.cache
def of_whole_frames(name: str, seed: int) -> Told:
    return play(minute(name, seed))


@pytest.mark.parametrize("reduce", [averaged, picked, softened])
@pytest.mark.parametrize(("name", "seed"), [("goods", 3), ("mixed", 5), ("faults", 2)])
def test_the_same_is_told_of_a_minute(reduce: Callable[[np.ndarray], np.ndarray], name: str, seed: int) -> None:
    whole, short = of_whole_frames(name, seed), play(minute(name, seed), small_of=of_the_camera(reduce))
    assert whole.events, "something happens"
    assert short.changes() == whole.changes()
    assert short.views() == whole.views()
    for (at_s, event), (other_s, other) in zip(whole.events, short.events, strict=True):
        assert (other.type, other.before, other.after) == (event.type, event.before, event.after)
        assert abs(other_s - at_s) <= 0.3
