"""Faults of the view: each is told, and nothing else is taken for one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason, ViewState
from edge.scene.script import FAULT_OF, Action
from edge.scene.scripted import ScriptedShelf
from edge.shelf.glance import Glance, Glancer, glance_of
from edge.shelf.view import Background, ViewWatch, background, judge, shift_px
from tests.fakes.events import UTC
from tests.fakes.scripted_shelf import COLUMNS, GRID, NAMES, ROWS, SIZE_HW_PX, SPRITES, play, script_of


@pytest.mark.parametrize(("kind", "fault"), FAULT_OF.items())
def test_every_fault_is_told_within_five_seconds_and_so_is_its_end(kind: str, fault: str) -> None:
    told = play(script_of(Action(3.0, kind, last_s=5.0, amount=20.0)))
    assert told.views() == [fault, "clear"]
    begins, ends = (at_s for at_s, event in told.events if event.type == "view")
    assert 3.0 < begins <= 8.0
    assert 8.0 <= ends <= 10.0
    assert told.changes() == []
    first = next(event for _, event in told.events if event.type == "view")
    assert [flag.partition("=")[0] for flag in first.flags[1:]] == (["shift_px"] if kind == "bump" else [])
    assert [(slot.name, slot.holds, slot.reason) for slot in first.slots] == [(name, "unknown", fault) for name in NAMES]


def test_a_glimpse_is_no_fault() -> None:
    told = play(script_of(Action(3.0, "cover", last_s=0.8)))
    assert (told.views(), told.changes()) == ([], [])


def found_px(x_px: int, y_px: int) -> tuple[float | None, float | None]:
    """What is measured of a shelf whose camera was moved by so much."""
    scene = ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    reference = glance_of(scene.empty())
    mask = np.ones(reference.small.shape[:2], dtype=bool)
    for slot in GRID:
        x0, y0, x1, y1 = (v // 8 for v in slot.box_xyxy_px)
        mask[y0 : y1 + 1, x0 : x1 + 1] = False
    matrix = np.float32([[1, 0, x_px], [0, 1, y_px]])
    moved = cv2.warpAffine(scene.render(50, 10), matrix, SIZE_HW_PX[::-1], borderMode=cv2.BORDER_REPLICATE)
    return shift_px(glance_of(moved).grey, background(reference, mask))


@pytest.mark.parametrize("shift", [(12, 0), (0, 12), (-9, 9), (25, 5), (0, -16)])
def test_how_far_it_moved(shift: tuple[int, int]) -> None:
    found = found_px(*shift)
    for measured, true in zip(found, shift, strict=True):
        assert measured is None or abs(measured - true) < 0.35 * np.hypot(*shift)
    assert max(abs(along or 0.0) for along in found) > 0.6 * max(map(abs, shift))


def test_a_farther_move_is_found_in_the_whole_frame() -> None:
    assert found_px(0, 20)[1] == pytest.approx(20, abs=5)


HW = (20, 30)
TEXTURE = np.random.default_rng(1).uniform(-50, 50, (2 * HW[0], 2 * HW[1])).astype(np.float32)
SMALL = np.full((*HW, 3), 100, np.float32)
OUTSIDE = np.ones(HW, dtype=np.bool_)
OUTSIDE[5:15, 10:20] = False
BASE = background(Glance(SMALL, 120 + TEXTURE, 1), OUTSIDE)


def seen(small: np.ndarray = SMALL, grey: np.ndarray | None = None, *, base: Background = BASE, gain: float = 1.0) -> ViewState:
    return judge(Glance(small, 120 + TEXTURE if grey is None else grey.astype(np.float32), 2), base, gain).state


def differing(share: float, by: float, level: float = 100) -> np.ndarray:
    """That share of the background's 500 pixels is another than ``level``, in one colour, and all that lies in slots."""
    small = np.full((*HW, 3), level, np.float32)
    small[~OUTSIDE] = 0
    rows, columns = np.nonzero(OUTSIDE)
    count = round(share * len(rows))
    small[rows[:count], columns[:count], 1] += by
    return small


def with_share(share: float, level: float, rest: float) -> np.ndarray:
    """A grey picture of which that share is at ``level``."""
    grey = np.full(TEXTURE.size, rest, np.float32)
    grey[: round(share * grey.size)] = level
    return np.random.default_rng(2).permutation(grey).reshape(TEXTURE.shape)


def test_what_is_as_it_was_is_clear() -> None:
    assert seen() is ViewState.CLEAR
    assert BASE.grey_mask.shape == TEXTURE.shape
    assert not BASE.grey_mask[10:30, 20:40].any()
    assert BASE.grey_mask.sum() == 4 * OUTSIDE.sum()


@pytest.mark.parametrize(
    ("grey", "dark"),
    [
        (np.full_like(TEXTURE, 15.9), True),
        (np.full_like(TEXTURE, 16), False),
        (with_share(0.03, 200, 5), True),
        (with_share(0.08, 200, 5), False),
    ],
)
def test_it_is_dark_where_the_brightest_twentieth_is(grey: np.ndarray, dark: bool) -> None:
    assert (seen(grey=grey) is ViewState.DARK) is dark


@pytest.mark.parametrize(("share", "level", "bright"), [(0.55, 255, False), (0.65, 246, True), (0.65, 245, False)])
def test_it_is_bright_where_most_of_it_is_full(share: float, level: float, bright: bool) -> None:
    assert (seen(grey=with_share(share, level, 120)) is ViewState.BRIGHT) is bright


@pytest.mark.parametrize(
    ("share", "by", "gain", "state"),
    [
        (0.71, 26, 1.0, ViewState.COVERED),
        (0.71, -26, 1.0, ViewState.COVERED),
        (0.71, 25, 1.0, ViewState.CLEAR),
        (0.70, 26, 1.0, ViewState.MOVED),  # too much is another for a shelf that stands where it stood
        (0.46, 26, 1.0, ViewState.MOVED),
        (0.45, 26, 1.0, ViewState.CLEAR),
        (0.71, 31, 1.25, ViewState.CLEAR),  # in more light more is needed
        (0.71, 33, 1.25, ViewState.COVERED),
    ],
)
def test_how_much_of_the_background_must_be_another(share: float, by: float, gain: float, state: ViewState) -> None:
    grey = (120 + TEXTURE) * np.float32(gain)
    assert seen(differing(share, by, 100 * gain), grey, gain=gain) is state


def test_what_is_full_is_not_another() -> None:
    assert seen(np.full((*HW, 3), 255, np.float32), (120 + TEXTURE) * 1.2, gain=2.6) is ViewState.CLEAR


@pytest.mark.parametrize(
    ("contrast", "gain", "blurred"), [(0.44, 1.0, True), (0.46, 1.0, False), (0.8, 2.0, True), (1.0, 2.0, False)]
)
def test_it_is_blurred_where_edges_have_less_than_half_their_strength(contrast: float, gain: float, blurred: bool) -> None:
    small = np.full((*HW, 3), 100 * gain, np.float32)
    assert (seen(small, 120 + contrast * TEXTURE, gain=gain) is ViewState.BLURRED) is blurred


def test_sharpness_is_that_of_the_strongest_hundredth_between_the_slots() -> None:
    grey = np.full((40, 60), 100, np.float32)
    assert background(Glance(SMALL, grey, 1), OUTSIDE).sharpness == 0
    grey[20, 30] = 200  # in a slot
    assert background(Glance(SMALL, grey, 1), OUTSIDE).sharpness == 0
    grey[5, 5] = 110
    one = background(Glance(SMALL, grey, 1), OUTSIDE).sharpness
    grey[2:5:2, 50] = 110
    assert background(Glance(SMALL, grey, 1), OUTSIDE).sharpness == pytest.approx(3 * one)
    assert one == pytest.approx((80 + 4 * 20) / 20), "its Laplacian is 8 in the middle and 2 at the corners, over 20 of 2,000"
    assert background(Glance(SMALL, grey, 1), np.zeros_like(OUTSIDE)).sharpness == 0, "where there is no background"


def test_of_many_edges_the_strongest_count_wherever_they_are() -> None:
    edges = np.sort(np.abs(cv2.Laplacian(120 + TEXTURE, cv2.CV_32F, ksize=3))[BASE.grey_mask])
    assert len(edges) == 2_000
    assert BASE.sharpness == pytest.approx(edges[-20:].mean())


def test_without_edges_nothing_is_blurred() -> None:
    flat = np.full_like(TEXTURE, 120)
    assert seen(grey=flat, base=background(Glance(SMALL, flat, 1), OUTSIDE)) is ViewState.CLEAR


@pytest.mark.parametrize(
    ("share", "shift", "state"),
    [
        (0.012, (0, 2), ViewState.MOVED),
        (0.012, (-2, 0), ViewState.MOVED),
        (0.012, (0, 1), ViewState.CLEAR),  # by four pixels
        (0.010, (0, 2), ViewState.CLEAR),
        (0.006, (0, 2), ViewState.CLEAR),  # where next to nothing is another, nothing is measured
    ],
)
def test_by_how_much_it_must_have_moved(share: float, shift: tuple[int, int], state: ViewState) -> None:
    assert seen(differing(share, 60), np.roll(120 + TEXTURE, shift, axis=(0, 1))) is state


@pytest.mark.parametrize(
    ("shift", "told_px"), [((2, -3), (-12, 8)), ((0, 9), (36, 0)), ((0, 12), (None, 0)), ((0, -12), (None, 0))]
)
def test_the_shift_is_told_in_pixels_of_the_frame_up_to_a_quarter_of_it(shift: tuple[int, int], told_px: tuple) -> None:
    found = shift_px(
        np.roll(120 + TEXTURE, shift, axis=(0, 1)), background(Glance(SMALL, 120 + TEXTURE, 1), np.ones_like(OUTSIDE))
    )
    assert (
        found == pytest.approx(told_px, abs=1.0)
        if None not in told_px
        else (found[0] is None and found[1] == pytest.approx(0, abs=1))
    )


def test_where_nothing_is_to_be_seen_no_shift_can_be_told() -> None:
    assert shift_px(np.full_like(TEXTURE, 120), BASE) == (None, None)


class Camera:
    """Ten frames a second of a shelf with nothing in it, to a watch; noise, or else the sensor would have stopped."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(3)
        self._wall = self._rng.uniform(60, 160, (80, 120, 1)).repeat(3, axis=2)
        self._wall[:, 24:32] += 60
        self._wall[:, 72:80] += 60
        base = glance_of(self._wall.astype(np.uint8))
        self.watch = ViewWatch(background(base, np.ones(base.small.shape[:2], dtype=np.bool_)), Glancer())
        self.seq = 0

    def see(self, frames: int, level: float = 1.0, *, shift: int = 0, still: bool = False) -> list[ViewState]:
        found = []
        for _ in range(frames):
            noise = 0 if still else self._rng.normal(0, 1, self._wall.shape)
            pixels = np.clip(np.roll(self._wall, shift, axis=1) * level + noise, 0, 255).astype(np.uint8)
            found.append(self.watch.check(Frame(pixels, self.seq, self.seq * 100_000_000, UTC, True)))
            self.seq += 1
        return found


CLEAR, DOUBTFUL, DARK, FROZEN = ViewState.CLEAR, ViewState.DOUBTFUL, ViewState.DARK, ViewState.FROZEN


def test_a_fault_counts_after_a_second_and_a_half_and_its_end_after_half_of_one() -> None:
    camera = Camera()
    assert camera.see(5) == [CLEAR] * 5
    assert camera.see(20, 0.02) == [DOUBTFUL] * 15 + [DARK] * 5
    assert camera.see(10) == [DARK] * 5 + [CLEAR] * 5


def test_a_fault_that_ends_early_begins_anew() -> None:
    camera = Camera()
    camera.see(3)
    assert camera.see(14, 0.02) == [DOUBTFUL] * 14
    assert camera.see(2) == [CLEAR] * 2
    assert camera.see(16, 0.02) == [DOUBTFUL] * 15 + [DARK]


def test_one_fault_after_the_other_is_said_when_it_has_lasted() -> None:
    camera = Camera()
    camera.see(3)
    camera.see(16, 0.02)
    assert camera.see(16, 4.0) == [DARK] * 15 + [ViewState.BRIGHT]


def test_a_picture_that_is_the_same_for_two_seconds_is_frozen_until_another_comes() -> None:
    camera = Camera()
    camera.see(3)
    assert camera.see(22, still=True) == [CLEAR] * 20 + [FROZEN] * 2
    assert camera.see(7) == [FROZEN] * 5 + [CLEAR] * 2


def test_silence_leaves_the_view_as_it_was_and_a_clear_one_says_nothing() -> None:
    camera, silence = Camera(), NoFrame(NoFrameReason.TIMEOUT, "nothing", 0)
    camera.see(3)
    assert (camera.watch.check(silence), camera.watch.flags()) == (CLEAR, ())
    camera.see(16, 0.02)
    assert (camera.watch.check(silence), camera.watch.flags()) == (DARK, ())


def test_a_view_that_has_moved_says_by_how_much() -> None:
    camera = Camera()
    camera.see(3)
    assert camera.see(16, shift=16)[-1] is ViewState.MOVED
    (flag,) = camera.watch.flags()
    x_px, y_px = map(int, flag.removeprefix("shift_px=").split(","))
    assert (abs(x_px - 16) <= 2, abs(y_px) <= 2) == (True, True), flag
