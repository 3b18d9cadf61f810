"""The ten lines that make a webcam a shelf camera, as they stand in the repository, over a fake of the V4L2 device."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.check import check
from edge.commands import options
from edge.config import load_config, state_directory
from edge.data import ShelfEvent
from edge.run import run
from edge.scene.items import paste
from edge.scene.props import product_sprite
from edge.scene.shelf import ShelfScene
from edge.shelf import reference
from tests.conftest import ROOT
from tests.fakes.v4l2 import FakeV4l2

SHIPPED = ROOT / "systemd" / "webcam.toml"
HEIGHT, WIDTH = 480, 640
EMPTY = ShelfScene(1, (HEIGHT, WIDTH), rows=1, columns=2).empty()
FULL_FRAMES = 200  # of at least 10 ms each: longer than a change must rest


@functools.cache
def picture(taken: bool, grain: int) -> np.ndarray:
    rgb = EMPTY.copy()
    for left, product in ((110, "red-carton"), (430, "blue-can")):
        if left > 320 or not taken:
            paste(rgb, product_sprite(product, (330, 150)), left, 100)
    noise = np.random.default_rng(grain).normal(0, 2, rgb.shape)
    return np.clip(rgb[..., ::-1] + noise, 0, 255).astype(np.uint8)


def shelf(index: int) -> np.ndarray:
    """What the webcam sees, BGR: goods left and right, and the left ones gone after a while."""
    return picture(index >= FULL_FRAMES, index % 7).copy()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped file with another device, which is there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    device = tmp_path / "video0"
    device.touch()
    text = SHIPPED.read_text()
    assert text.count("v4l2:0") == 1
    path = tmp_path / "webcam.toml"
    path.write_text(text.replace("v4l2:0", f"v4l2:{device}"))
    return path


def test_it_is_ten_lines_and_right() -> None:
    assert len(SHIPPED.read_text().splitlines()) == 10
    site = load_config(SHIPPED)
    assert (site.camera.source, [slot.name for slot in site.slot]) == ("v4l2:0", ["left", "right"])


def test_check_finds_nothing_wrong_with_it(config: Path) -> None:
    assert check(config).problems == ()


def test_it_tells_what_is_taken(
    config: Path, colour_bundle: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    webcam = FakeV4l2(shelf)
    monkeypatch.setattr(cv2, "VideoCapture", webcam)
    site = options.site(config, bundle=colour_bundle)
    reference.save(state_directory(site), reference.Reference(EMPTY))
    told: list[ShelfEvent] = []
    report = run(site, frames=FULL_FRAMES + 250, watch=told.append)
    assert [(event.slot, event.type) for event in told if event.kind == "event"] == [("left", "taken")]
    assert not report.simulated
    printed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event["type"] for event in printed if event["kind"] == "event"] == ["taken"]
    assert webcam.released == 1
