"""What a site recognises with, built from a bundle: one model, a pipeline of two, a network with two heads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge import loop, models
from edge.bundle.reader import Bundle
from edge.clock import Clock
from edge.config import CameraConfig, DeviceConfig, ModelConfig, SlotConfig, StateConfig
from edge.data import Boxes, Classes, Embedding, Frame, Region
from edge.errors import ConfigError
from edge.events import EventCounter, EventFactory
from edge.fallback import Starter
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.recogniser import Recogniser
from edge.shelf.whole_frame import Unchecked, WholeFrame
from tests.fakes.several import write_pipeline_bundle, write_two_headed_bundle
from tests.fakes.tiny import COLOURS, picture, write_colour_bundle

GOODS = {"red": (20, 32, 60, 92), "blue": (80, 40, 120, 100)}


def site(bundle: Bundle, tmp_path: Path, name: str | None = None, **slot: object) -> DeviceConfig:
    slots = (SlotConfig(name="A1", box=(0, 0, 1, 1), **slot),) if slot else ()  # type: ignore[arg-type]
    return DeviceConfig(
        config_version=1,
        camera=CameraConfig(name="cam", source="synthetic"),
        model=ModelConfig(bundle=str(bundle.directory), name=name),
        state=StateConfig(dir=str(tmp_path / "state")),
        slot=slots,
    )


def shelf_picture(goods: dict[str, tuple[int, int, int, int]]) -> np.ndarray:
    pixels = np.full((128, 128, 3), 20, np.uint8)
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


@pytest.fixture
def starter(tmp_path: Path, colour_bundle: Path) -> Iterator[Starter]:
    config = DeviceConfig(
        config_version=1,
        camera=CameraConfig(name="cam", source="synthetic"),
        model=ModelConfig(bundle=str(colour_bundle)),
        state=StateConfig(dir=str(tmp_path / "state")),
    )
    with Starter(config, models.trials_of(config), last_good=True) as starter:
        yield starter


def recogniser(starter: Starter, config: DeviceConfig, stopwatch: Stopwatch | None = None) -> Recogniser:
    return Recogniser(starter.start(config), False, lambda *_: None, (stopwatch or Stopwatch()).lap)


def test_what_one_network_finds_the_other_names(starter: Starter, tmp_path: Path) -> None:
    stopwatch, outbox = Stopwatch(), Recorder()
    found = recogniser(starter, site(write_pipeline_bundle(tmp_path / "b"), tmp_path), stopwatch)
    seen: list[Region] = []

    class Watching:
        def see(self, regions):
            now = found.see(regions)
            seen.extend(now)
            return now

    events = EventFactory("cam", "b@1", found.name, EventCounter())
    parts = loop.Parts(Unchecked(), WholeFrame(events), Watching(), outbox, Heartbeat(Clock()), stopwatch)
    loop.run([frame_of(shelf_picture(GOODS)), frame_of(shelf_picture({}))], parts)
    found.close()
    assert [event.top[0].label for event in outbox.told] == ["red", "blue"], "and nothing where nothing is"
    assert {event.model for event in outbox.told} == {"finder/finder-onnx + colour/onnx-a"}
    for region, box in zip(seen, GOODS.values(), strict=True):
        np.testing.assert_allclose(region.box_xyxy_px, box, atol=4, err_msg="a cell of the finder is 4 pixels wide")
    laps = {stage: stats.laps for stage, stats in stopwatch.report().items()}
    assert (laps["finder/inference"], laps["colour/inference"]) == (2, 1), "each laps for itself"
    assert sum(stopwatch.histograms()["finder/decode"].counts) == 2


def test_what_is_cropped_is_found_though_a_slot_asks_for_another_answer(starter: Starter, tmp_path: Path) -> None:
    found = recogniser(starter, site(write_pipeline_bundle(tmp_path / "b"), tmp_path))
    pixels = shelf_picture(GOODS)
    asked = [Region("A1", pixels, wants=frozenset({"classify"})), Region("A2", pixels, wants=frozenset({"things"}))]
    seen = found.see(asked)
    found.close()
    named = [(region.slot, region.top[0].label if region.top else None) for region in seen]
    assert named == [("A1", "red"), ("A1", "blue"), ("A2", None), ("A2", None)]


def test_nothing_is_found_that_nobody_wants_or_crops(starter: Starter, tmp_path: Path) -> None:
    bundle = write_pipeline_bundle(tmp_path / "b", crop=False)
    stopwatch = Stopwatch()
    found = recogniser(starter, site(bundle, tmp_path), stopwatch)
    (seen,) = found.see([Region("A1", picture("red", 32, 32), wants=frozenset({"classify"}))])
    found.close()
    assert [answer.answer for answer in seen.answers] == ["classify"]
    assert "finder/inference" not in stopwatch.report()


def test_one_model_of_a_pipeline_runs_alone_if_it_is_named(starter: Starter, tmp_path: Path) -> None:
    bundle = write_pipeline_bundle(tmp_path / "b")
    alone = recogniser(starter, site(bundle, tmp_path, "finder"))
    (seen,) = alone.see([Region("A1", shelf_picture(GOODS))])
    alone.close()
    assert alone.name == "finder/finder-onnx"
    assert isinstance(seen.answers[0], Boxes)
    assert [one.label for one in seen.top] == ["thing", "thing"]
    with pytest.raises(ConfigError, match="holds several models"):
        models.find_steps(write_pipeline_bundle(tmp_path / "loose", pipeline=False), None)


def test_a_network_with_two_heads_gives_two_answers_and_a_region_may_want_one(starter: Starter, tmp_path: Path) -> None:
    heads = recogniser(starter, site(write_two_headed_bundle(tmp_path / "b"), tmp_path))
    pixels = picture("green", 16, 16)
    wanted = [None, frozenset({"classify"}), frozenset({"look"}), frozenset({"other"})]
    seen = heads.see([Region(str(number), pixels, wants=wants) for number, wants in enumerate(wanted)])
    heads.close()
    assert [region.slot for region in seen] == ["0", "1", "2", "3"]
    kinds = [tuple(type(answer) for answer in region.answers) for region in seen]
    assert kinds == [(Classes, Embedding), (Classes,), (Embedding,), ()]
    assert seen[0].top[0].label == "green"
    assert seen[2].vector is not None
    assert seen[2].vector.argmax() == 1


def test_a_pipeline_takes_the_place_of_one_model_between_two_frames(starter: Starter, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    found = recogniser(starter, site(write_colour_bundle(tmp_path / "one" / "b"), tmp_path))
    (before,) = found.see([Region("A1", shelf_picture(GOODS))])
    assert before.top
    pipeline = write_pipeline_bundle(tmp_path / "b")
    config = site(pipeline, tmp_path)
    found.swap(starter.prepare(config, models.trials_of(config)))
    assert [region.top[0].label for region in found.see([Region("A1", shelf_picture(GOODS))])] == ["red", "blue"]
    assert (found.bundle.sha256, found.candidates) == (pipeline.sha256, "finder-onnx + onnx-a")
    assert found.reason == "finder: the only candidate; colour: the only candidate"
    found.close()


def test_what_a_slot_asks_for_must_be_an_answer_of_the_bundle(starter: Starter, tmp_path: Path) -> None:
    bundle = write_two_headed_bundle(tmp_path / "b")
    models.find_models(site(bundle, tmp_path, answers=("look", "classify")), bundle)
    with pytest.raises(ConfigError, match=r"slot 'A1': answers: .* gives no 'loook'") as caught:
        starter.start(site(bundle, tmp_path, answers=("classify", "loook")))
    assert caught.value.fix == "name some of: classify, look"


def test_every_model_of_a_pipeline_passes_its_trial(tmp_path: Path) -> None:
    bundle = write_pipeline_bundle(tmp_path / "b")
    config = site(bundle, tmp_path)
    assert len(models.admit_first(config, models.trials_of(config))) == 2


def test_if_the_second_model_cannot_be_loaded_the_first_is_closed(starter: Starter, tmp_path: Path, monkeypatch) -> None:
    bundle = write_pipeline_bundle(tmp_path / "b")
    closed: list[str] = []
    load = Starter._load_one

    def spied(self, config, bundle, model, beside):
        if model.name == "colour":
            raise ConfigError("no")
        ready = load(self, config, bundle, model, beside)
        before = ready.active.backend.close
        monkeypatch.setattr(ready.active.backend, "close", lambda: (closed.append(model.name), before()))
        return ready

    monkeypatch.setattr(Starter, "_load_one", spied)
    with pytest.raises(ConfigError):
        starter.start(site(bundle, tmp_path))
    assert closed == ["finder"]


def test_a_kept_pipeline_is_found_again(starter: Starter, tmp_path: Path) -> None:
    bundle = write_pipeline_bundle(tmp_path / "b")
    config = site(bundle, tmp_path)
    found = recogniser(starter, config)
    found.see([Region("A1", shelf_picture(GOODS))])
    found.close()
    starter.__exit__(None, None, None)
    gone = msgspec.structs.replace(config.model, bundle=str(tmp_path / "gone"))
    with Starter(config, models.trials_of(config), last_good=True) as again:
        first = again.start(msgspec.structs.replace(config, model=gone))
        first.close()
    assert [step.model for step in first.steps] == ["finder", "colour"]
    assert first.refused is not None
