"""Stages one after the other: what a network finds is cut out, and each part goes its own way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.data import Boxes, Region, Score
from edge.shelf.geometry import place
from edge.stages.pipeline import CutStage


def boxes(name: str, *corners: list[float]) -> Boxes:
    return Boxes(name, np.array(corners, np.float32), (Score("thing", 0, 1.0),) * len(corners))


def test_a_part_knows_its_place_in_a_shelf_seen_at_an_angle() -> None:
    pixels = np.full((200, 200, 3), 20, np.uint8)
    corners = [(40, 20), (180, 50), (170, 190), (30, 160)]
    region = place(corners, (200, 200)).region("A1", pixels, frozenset({"classify"}))
    height, width = region.pixels.shape[:2]
    part = region.part((width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    assert (part.slot, part.wants) == ("A1", frozenset({"classify"}))
    assert part.to_frame is not None
    centre = part.to_frame @ np.array([part.pixels.shape[1] / 2, part.pixels.shape[0] / 2, 1])
    whole = region.to_frame @ np.array([width / 2, height / 2, 1])
    np.testing.assert_allclose(centre / centre[2], whole / whole[2], atol=1.0)
    left, top, right, bottom = part.box_xyxy_px
    assert left < whole[0] / whole[2] < right
    assert top < whole[1] / whole[2] < bottom


def test_padding_stays_within_the_region() -> None:
    region = Region("A1", np.zeros((40, 60, 3), np.uint8), (100, 200, 160, 240))
    found = replace(region, answers=(boxes("blobs", [10, 10, 30, 20], [50, 30, 60, 40]),))
    parts = CutStage("blobs", padding=0.5).see([found])
    assert [part.box_xyxy_px for part in parts] == [(100, 205, 140, 225), (145, 225, 160, 240)]
    assert [part.pixels.shape[:2] for part in parts] == [(20, 40), (15, 15)]
    assert CutStage("other").see([found]) == [], "boxes of another answer are not cut"
