"""Glances: from the whole frame or from a camera's own small picture, and what is told from two of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.data import Frame
from edge.errors import DataError
from edge.scene.scripted import ScriptedShelf
from edge.shelf import glance
from edge.shelf.glance import Glancer, difference, gain_between, glance_of, in_reference_light
from tests.fakes.events import UTC
from tests.fakes.lores import SMALL_HW, averaged, of_the_camera
from tests.fakes.scripted_shelf import COLUMNS, ROWS, SIZE_HW_PX, SPRITES, script_of


def scene() -> ScriptedShelf:
    return ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)


@pytest.mark.parametrize("times", [1, 2])
def test_the_glance_is_that_of_the_whole_frame(times: int) -> None:
    pixels = scene().render(3, 10)
    size_wh = (SMALL_HW[1] * times, SMALL_HW[0] * times)
    small = of_the_camera(lambda p: cv2.resize(p, size_wh, interpolation=cv2.INTER_AREA))(pixels)
    whole, short = glance_of(pixels), glance_of(pixels, small)
    assert short.small.shape == whole.small.shape
    assert short.grey.shape == whole.grey.shape
    assert np.abs(short.small - whole.small).mean() < 2
    assert np.abs(short.grey - whole.grey).mean() < 2
    assert short.print == whole.print, "a frozen sensor shows in the whole frame"


def test_where_the_frame_is_no_multiple_of_eight_the_rest_is_left_out_as_well() -> None:
    pixels = scene().render(3, 10)[:356, :636]
    small = cv2.resize(pixels, (159, 89), interpolation=cv2.INTER_AREA)
    whole, short = glance_of(pixels), glance_of(pixels, small)
    assert short.small.shape == whole.small.shape == (44, 79, 3)
    assert np.abs(short.small - whole.small).max() <= 3, "nothing is shifted"


def test_a_small_picture_spares_the_whole_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = scene().render(3, 10)
    small = averaged(pixels)
    read: list[tuple[int, ...]] = []
    resize = cv2.resize

    def spy(picture: np.ndarray, *args: object, **named: object) -> np.ndarray:
        read.append(picture.shape[:2])
        return resize(picture, *args, **named)

    monkeypatch.setattr(glance.cv2, "resize", spy)
    glance_of(pixels, small)
    assert SIZE_HW_PX not in read
    glance_of(pixels)
    assert SIZE_HW_PX in read, "the spy sees it"


def test_one_that_does_not_fit_is_passed_over() -> None:
    pixels = scene().render(3, 10)
    np.testing.assert_array_equal(glance_of(pixels, np.zeros((30, 40, 3), np.uint8)).small, glance_of(pixels).small)


def grey(level: float, hw: tuple[int, int] = (10, 10)) -> np.ndarray:
    return np.full((*hw, 3), level, np.float32)


def frame_of(pixels: np.ndarray, seq: int, name: str | None = None) -> Frame:
    return Frame(pixels, seq, 1, UTC, True, name=name)


def test_a_block_of_eight_pixels_is_one_of_the_small_picture_and_four_of_the_grey_one() -> None:
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[8:16, 24:32] = (200, 100, 50)
    seen = glance_of(pixels)
    assert (seen.small.shape, seen.grey.shape) == ((5, 8, 3), (10, 16))
    assert seen.small[1, 3].tolist() == [200, 100, 50]
    assert np.argwhere(seen.small.any(axis=2)).tolist() == [[1, 3]]
    assert np.argwhere(seen.grey).tolist() == [[2, 6], [2, 7], [3, 6], [3, 7]]


@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 1), (9, 14), (16, 12), (18, 40), (23, 51)])
def test_the_print_shows_a_change_of_seventeen_by_thirteen_pixels_wherever_it_is(top: int, left: int) -> None:
    pixels = np.zeros((40, 64, 3), np.uint8)
    before = glance_of(pixels).print
    assert glance_of(pixels.copy()).print == before
    pixels[top : top + 17, left : left + 13, 2] = 1
    assert glance_of(pixels).print != before


def test_one_glance_a_frame_however_many_ask() -> None:
    glancer, pixels = Glancer(), np.zeros((16, 24, 3), np.uint8)
    first = glancer.at(frame_of(pixels, 0))
    assert glancer.at(frame_of(pixels, 0)) is first
    assert glancer.at(frame_of(pixels + np.uint8(9), 1)).small.max() == 9
    assert glancer.at(frame_of(pixels, 2)).small.max() == 0


@pytest.mark.parametrize(("name", "said"), [("a.png", "a.png: is of"), (None, "frame 1: is of")])
def test_frames_of_another_size_than_the_first_are_refused(name: str | None, said: str) -> None:
    glancer = Glancer()
    glancer.at(frame_of(np.zeros((16, 24, 3), np.uint8), 0))
    for hw in ((16, 32), (24, 24), (16, 16), (8, 24)):
        with pytest.raises(DataError, match=f"{said} {hw[1]}×{hw[0]} pixels, the first was of 24×16"):
            glancer.at(frame_of(np.zeros((*hw, 3), np.uint8), 1, name))


def test_the_gain_is_the_middle_one_of_all_pixels() -> None:
    now = grey(150)
    now[:4] = 20  # what changed in less than half does not count
    assert gain_between(grey(100), now) == 1.5


@pytest.mark.parametrize(
    ("base", "now", "counts"),
    [
        (5, 200, False),
        (12, 200, False),
        (13, 200, True),
        (255, 100, False),
        (250, 100, False),
        (249, 100, True),
        (100, 1, False),
        (100, 3, False),
        (100, 3.5, True),
        (200, 255, False),
        (200, 250, False),
        (200, 249, True),
    ],
)
def test_pixels_that_are_full_or_dark_tell_nothing_of_the_light(base: float, now: float, counts: bool) -> None:
    before, after = grey(base), grey(now)
    before[0], after[0] = 100, 120
    assert gain_between(before, after) == pytest.approx(now / base if counts else 1.2)


@pytest.mark.parametrize(("usable", "gain"), [(4, 1.0), (5, 1.2)])
def test_a_twentieth_of_the_pixels_is_enough_to_tell_the_light(usable: int, gain: float) -> None:
    before, after = np.full((100, 1), 255, np.float32), np.full((100, 1), 255, np.float32)
    before[:usable], after[:usable] = 100, 120
    assert gain_between(before, after) == pytest.approx(gain)


@pytest.mark.parametrize(("gain", "divided_by"), [(2.0, 2.0), (0.5, 0.5), (0.06, 0.06), (0.04, 0.05), (0.0, 0.05)])
def test_light_is_taken_out_down_to_a_twentieth_of_it(gain: float, divided_by: float) -> None:
    np.testing.assert_allclose(in_reference_light(grey(10), gain), 10 / divided_by, rtol=1e-6)


@pytest.mark.parametrize(
    ("differing", "by", "gain", "found"),
    [
        (100, 16, 1.0, 0.1),  # of a light grey of 160
        (10, 16, 1.0, 0.1),  # the most different tenth decides
        (5, 16, 1.0, 0.05),
        (100, 16, 0.5, 0.2),  # less light, smaller differences
        (100, -16, 1.25, 0.08),
        (100, 16, 0.1, 0.5),  # but not below a fifth of it
        (100, -24, 2.0, 0.1),  # nor above one and a half
    ],
)
def test_a_difference_is_a_share_of_a_light_grey(differing: int, by: float, gain: float, found: float) -> None:
    one = grey(100)
    other = one * np.float32(gain)
    other.reshape(-1, 3)[:differing, 1] += by
    assert difference(one, other, gain) == pytest.approx(found, rel=1e-5)


def test_of_many_differences_the_largest_tenth_counts_wherever_it_is() -> None:
    apart = np.random.default_rng(1).permutation(np.arange(2_000) / 50).reshape(40, 50, 1).astype(np.float32)
    assert difference(grey(100, (40, 50)), grey(100, (40, 50)) + apart, 1.0) == pytest.approx(
        np.arange(1_800, 2_000).mean() / 50 / 160
    )


def test_what_is_full_is_equal_to_all_that_would_be_full() -> None:
    assert difference(grey(200), grey(255), 2.0) == 0
    assert difference(grey(100), grey(255), 2.0) == pytest.approx(50 / 240)


def test_of_few_pixels_the_most_different_one_decides() -> None:
    one, other = grey(100, (1, 3)), grey(100, (1, 3))
    other[0, 2] += 32
    assert difference(one, other, 1.0) == pytest.approx(0.2)
