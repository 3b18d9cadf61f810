"""Two stages of real networks through the loop: one finds bright things, the other says which colour each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper

from edge import loop
from edge.backends import load_backend
from edge.bundle.model_file import ModelFile
from edge.choice.loader import FixedModel, ModelLoader
from edge.clock import Clock
from edge.data import Boxes, Frame, RawOutputs, Region
from edge.events import EventCounter, EventFactory
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.preprocess import fitted
from edge.shelf.geometry import place
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage
from edge.stages.pipeline import CutStage, Pipeline
from tests.fakes.tiny import COLOURS, write_colour_bundle

SIDE = 32
"""Of the finder's input, in pixels."""


def brightness_onnx() -> bytes:
    """N×32×32×3 uint8 → N×32×32 float32: the strongest channel of each pixel."""
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["real", "axes"], ["bright"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("bright", TensorProto.FLOAT, ["N", SIDE, SIDE])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


class BlobFinder:
    """Decodes the map: connected bright pixels are one thing."""

    def __init__(self, spec) -> None:
        self._spec = spec

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        return [self._found(bright, region) for bright, region in zip(raw[0], regions, strict=True)]

    def _found(self, bright: np.ndarray, region: Region) -> Region:
        _, _, stats, _ = cv2.connectedComponentsWithStats((bright > 128).astype(np.uint8))
        boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:]], np.float32).reshape(-1, 4)
        boxes = fitted(region.pixels.shape[:2], self._spec).to_region(boxes)
        found = Boxes("blobs", boxes, np.ones(len(boxes), np.float32), ("thing",) * len(boxes))
        return replace(region, answers=(*region.answers, found))


@pytest.fixture
def finder(tmp_path: Path) -> ActiveModel:
    candidate = write_colour_bundle(tmp_path / "shape").manifest.models[0].candidates[0]
    spec = msgspec.structs.replace(candidate.input, height_px=SIDE, width_px=SIDE)
    (output,) = candidate.outputs
    output = msgspec.structs.replace(output, name="bright", width=SIDE * SIDE, activation="logits")
    candidate = msgspec.structs.replace(candidate, name="finder", input=spec, outputs=(output,))
    backend = load_backend(ModelFile("finder.onnx", brightness_onnx()), candidate, 1)
    return ActiveModel("finder", spec, backend, BlobFinder(spec))


@pytest.fixture
def classifier(tmp_path: Path) -> ActiveModel:
    bundle = write_colour_bundle(tmp_path / "colours")
    (model,) = bundle.manifest.models
    return ModelLoader(bundle, model, threads=1, top_k=1).load(model.candidates[0])


def shelf_picture(height: int, width: int, goods: dict[str, tuple[int, int, int, int]]) -> np.ndarray:
    pixels = np.full((height, width, 3), 20, np.uint8)
    for colour, (left, top, right, bottom) in goods.items():
        pixels[top:bottom, left:right] = COLOURS[colour]
    return pixels


def frame_of(pixels: np.ndarray) -> Frame:
    return Frame(pixels, 0, 1, datetime(2026, 1, 1, tzinfo=timezone.utc), True)


class Recorder:
    def __init__(self) -> None:
        self.told: list = []

    def commit(self, events, snapshot) -> None:
        self.told += events

    def close(self) -> None:
        pass


def test_what_one_network_finds_the_other_names(finder: ActiveModel, classifier: ActiveModel) -> None:
    goods = {"red": (20, 32, 60, 92), "blue": (80, 40, 120, 100)}
    stopwatch, outbox = Stopwatch(), Recorder()
    recogniser = Pipeline(
        [ModelStage(FixedModel(finder), stopwatch.lap), CutStage("blobs"), ModelStage(FixedModel(classifier), stopwatch.lap)]
    )
    seen: list[Region] = []

    class Watching:
        def see(self, regions):
            found = recogniser.see(regions)
            seen.extend(found)
            return found

    events = EventFactory("cam", "b@1", "m/x", EventCounter())
    parts = loop.Parts(Unchecked(), WholeFrame(events), Watching(), outbox, Heartbeat(Clock()), stopwatch)
    loop.run([frame_of(shelf_picture(128, 128, goods)), frame_of(shelf_picture(128, 128, {}))], parts)
    assert [event.top[0].label for event in outbox.told] == ["red", "blue"], "and nothing where nothing is"
    assert [region.box_xyxy_px for region in seen] == list(goods.values())
    assert stopwatch.report()["inference"].laps == 3, "the finder twice, the classifier once"


def test_a_part_knows_its_place_in_a_shelf_seen_at_an_angle(finder: ActiveModel) -> None:
    pixels = shelf_picture(200, 200, {})
    corners = [(40, 20), (180, 50), (170, 190), (30, 160)]
    region = place(corners, (200, 200)).region("A1", pixels)
    height, width = region.pixels.shape[:2]
    part = region.part((width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    assert part.slot == "A1"
    assert part.to_frame is not None
    centre = part.to_frame @ np.array([part.pixels.shape[1] / 2, part.pixels.shape[0] / 2, 1])
    whole = region.to_frame @ np.array([width / 2, height / 2, 1])
    np.testing.assert_allclose(centre / centre[2], whole / whole[2], atol=1.0)
    left, top, right, bottom = part.box_xyxy_px
    assert left < whole[0] / whole[2] < right
    assert top < whole[1] / whole[2] < bottom


def test_padding_stays_within_the_region() -> None:
    region = Region("A1", np.zeros((40, 60, 3), np.uint8), (100, 200, 160, 240))
    found = Boxes("blobs", np.array([[10, 10, 30, 20], [50, 30, 60, 40]], np.float32), np.ones(2, np.float32), ("a", "b"))
    parts = CutStage("blobs", padding=0.5).see([replace(region, answers=(found,))])
    assert [part.box_xyxy_px for part in parts] == [(100, 205, 140, 225), (145, 225, 160, 240)]
    assert [part.pixels.shape[:2] for part in parts] == [(20, 40), (15, 15)]
    assert CutStage("other").see([replace(region, answers=(found,))]) == [], "boxes of another answer are not cut"
