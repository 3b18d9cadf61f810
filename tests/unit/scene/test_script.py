"""Scripts: what happens, and what should be said of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.scene.script import GOODS, REACH_S, SCRIPTS, Action, Script, write_script
from edge.scene.scripted import ScriptedShelf, photo_sprites
from tests.fakes.scripted_shelf import COLUMNS, FULL, GRID, NAMES, PRODUCTS, ROWS, SIZE_HW_PX, SPRITES, script_of

A = NAMES[0]


def rendered(script: Script, at_s: float) -> np.ndarray:
    return ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS).render(round(at_s * 10), 10)


def slot_of(picture: np.ndarray, name: str) -> np.ndarray:
    x0, y0, x1, y1 = next(slot.box_xyxy_px for slot in GRID if slot.name == name)
    return picture[y0:y1, x0:x1].astype(float)


@pytest.mark.parametrize(
    ("actions", "events"),
    [
        ([Action(5, "take", A)], [(6.0, "taken", FULL[A], None)]),
        (
            [Action(5, "take", A), Action(9, "return", A, FULL[A])],
            [(6.0, "taken", FULL[A], None), (10.0, "returned", None, FULL[A])],
        ),
        ([Action(5, "take", A), Action(9, "restock", A, "x")], [(6.0, "taken", FULL[A], None), (10.0, "replaced", None, "x")]),
        ([Action(5, "swap", A, "x")], [(6.0, "replaced", FULL[A], "x")]),
        ([Action(4, "cover", last_s=6), Action(5, "take", A)], [(10.0, "empty", FULL[A], None)]),
        ([Action(4, "cover", last_s=6), Action(5, "take", A), Action(7, "return", A, FULL[A])], []),
        ([Action(4, "cover", last_s=6), Action(5, "swap", A, "x")], [(10.0, "replaced", FULL[A], "x")]),
        ([Action(5, "hand", A, last_s=2), Action(8, "person", last_s=4)], []),
    ],
)
def test_what_should_be_said(actions, events):
    said = [(e.seen_s, e.type, e.before, e.after) for e in script_of(*actions).events()]
    assert said == events


@given(name=st.sampled_from(SCRIPTS), seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_drawn_scripts_are_repeatable_and_leave_time_to_settle(name, seed):
    script = write_script(name, seed, NAMES, PRODUCTS, duration_s=120)
    assert script == write_script(name, seed, NAMES, PRODUCTS, duration_s=120)
    assert set(script.start) == set(NAMES)
    goods = [a for a in script.actions if a.kind in GOODS]
    for one, other in itertools.pairwise(goods):
        assert other.at_s - one.at_s >= 5 + REACH_S
    shelf = dict(script.start)
    for action in goods:
        assert (action.kind in ("take", "swap")) == (shelf[action.slot] is not None)
        assert action.product != shelf[action.slot]
        shelf[action.slot] = action.product
    assert name != "quiet" or not script.events()
    assert {e.slot for e in script.events()} <= set(NAMES)


def test_unknown_scripts_and_too_few_products_are_refused():
    with pytest.raises(ValueError, match="no script 'party'"):
        write_script("party", 0, NAMES, PRODUCTS)
    with pytest.raises(ValueError, match="2 products"):
        write_script("goods", 0, NAMES, PRODUCTS[:2])


def test_frames_repeat_and_do_not_depend_on_the_order_of_asking():
    script = script_of(Action(4, "take", A), Action(6, "person", last_s=3))
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    later = scene.render(70, 10)
    scene.render(10, 10)
    np.testing.assert_array_equal(scene.render(70, 10), later)
    np.testing.assert_array_equal(rendered(script, 7), later)


def test_goods_go_and_come_behind_a_hand():
    script = script_of(Action(4, "take", A), Action(8, "return", A, FULL[A]))
    full, reaching, bare, again = (slot_of(rendered(script, at_s), A) for at_s in (1, 4, 6, 10))
    assert np.abs(reaching - full).mean() > 10
    assert np.abs(bare - full).mean() > 10
    assert np.abs(again - full).mean() < np.abs(bare - full).mean() / 2, "the same thing, a little elsewhere"
    other = [slot_of(rendered(script, at_s), NAMES[1]) for at_s in (1, 6)]
    assert np.abs(other[0] - other[1]).mean() < 8, "noise alone"


@pytest.mark.parametrize(
    ("kind", "amount", "brighter"),
    [("exposure", 1.0, 1.37), ("exposure", -1.0, 0.73), ("dark", 0, 0.06), ("dusk", -3600.0, 0.73)],
)
def test_stops_of_light(kind, amount, brighter):
    """A stop multiplies coded values by 2^(1/2.2); a dusk of 3,600 stops an hour is one a second."""
    script = script_of(Action(2, kind, last_s=8, amount=amount))
    before, during = rendered(script, 1), rendered(script, 3)
    usable = (before > 60) & (before < 170)
    assert np.median(during[usable] / before[usable]) == pytest.approx(brighter, rel=0.06)


def test_faults_of_the_camera():
    script = script_of(
        *(Action(10.0 * n, kind, last_s=5, amount=15) for n, kind in enumerate(("cover", "blur", "bump", "freeze"), 1))
    )
    clear = rendered(script, 1)
    edges = {at_s: cv2.Laplacian(cv2.GaussianBlur(rendered(script, at_s), (0, 0), 2), cv2.CV_32F).std() for at_s in (1, 12, 22)}
    assert edges[12] < edges[1] / 2
    assert edges[22] < edges[1] / 2
    assert np.abs(rendered(script, 32).astype(int) - clear).mean() > 6
    np.testing.assert_array_equal(rendered(script, 42), rendered(script, 44))
    assert (rendered(script, 46) != rendered(script, 47)).any()


def test_photos_become_products_named_after_their_folders(tmp_path: Path):
    for label in ("milk", "juice", "tea"):
        (tmp_path / label).mkdir()
        cv2.imwrite(str(tmp_path / label / "a.jpg"), np.full((300, 200, 3), 120, np.uint8))
    sprites = photo_sprites(tmp_path, 2, 0, (90, 100))
    assert len(sprites) == 2
    assert set(sprites) <= {"milk", "juice", "tea"}
    assert {sprite.shape for sprite in sprites.values()} == {(81, 54, 4)}
