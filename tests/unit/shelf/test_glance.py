"""A camera's own small picture in place of the whole frame: the same glance, and the same decisions."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge.scene.script import write_script
from edge.scene.scripted import ScriptedShelf
from edge.shelf import glance
from edge.shelf.glance import glance_of
from edge.sources.lores import fits, to_rgb
from tests.fakes.libcamera import ColorSpace
from tests.fakes.picamera2 import write_yuv420
from tests.fakes.scripted_shelf import COLUMNS, NAMES, PRODUCTS, ROWS, SIZE_HW_PX, SPRITES, play, script_of

SMALL_HW = (SIZE_HW_PX[0] // 4, SIZE_HW_PX[1] // 4)


def of_the_camera(reduce: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """What a second stream gives: reduced by the image processor, as YUV with padded rows, and back."""

    def small_of(pixels: np.ndarray) -> np.ndarray:
        rgb = reduce(pixels)
        h, w = rgb.shape[:2]
        stride = w + 32
        buffer = np.zeros(stride * h * 3 // 2, np.uint8)
        write_yuv420(rgb, buffer, stride, ColorSpace.Smpte170m())
        return to_rgb(buffer.reshape(h * 3 // 2, stride), (h, w), "cam")

    return small_of


def averaged(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, SMALL_HW[::-1], interpolation=cv2.INTER_AREA)


def picked(pixels: np.ndarray) -> np.ndarray:
    """From the nearest pixels only: sharper and noisier than an average."""
    return cv2.resize(pixels, SMALL_HW[::-1], interpolation=cv2.INTER_LINEAR)


def softened(pixels: np.ndarray) -> np.ndarray:
    """From more pixels than its own."""
    return averaged(cv2.GaussianBlur(pixels, (0, 0), 2.0))


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


def test_one_that_does_not_fit_is_passed_over() -> None:
    pixels = scene().render(3, 10)
    np.testing.assert_array_equal(glance_of(pixels, np.zeros((30, 40, 3), np.uint8)).small, glance_of(pixels).small)


@pytest.mark.parametrize("reduce", [averaged, picked, softened])
@pytest.mark.parametrize(("name", "seed"), [("goods", 3), ("mixed", 5), ("faults", 2)])
def test_the_same_is_told_of_a_minute(reduce: Callable[[np.ndarray], np.ndarray], name: str, seed: int) -> None:
    script = write_script(name, seed, NAMES, PRODUCTS, duration_s=60.0)
    whole, short = play(script), play(script, small_of=of_the_camera(reduce))
    assert whole.events, "something happens"
    assert short.changes() == whole.changes()
    assert short.views() == whole.views()
    for (at_s, event), (other_s, other) in zip(whole.events, short.events, strict=True):
        assert (other.type, other.before, other.after) == (event.type, event.before, event.after)
        assert abs(other_s - at_s) <= 0.3
