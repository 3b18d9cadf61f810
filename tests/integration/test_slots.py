"""Slots as an integrator sets them up: reference, config, run; a real process over a scripted shelf's pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.errors import ExitCode
from edge.scene.script import Action
from edge.scene.scripted import ScriptedShelf
from tests.fakes.command import shelfcam
from tests.fakes.scripted_shelf import COLUMNS, GRID, NAMES, ROWS, SIZE_HW_PX, SPRITES, script_of

A = NAMES[0]


@pytest.fixture
def site(tmp_path: Path, colour_bundle: Path) -> Path:
    """A config of all slots, frames in which the first one is emptied, and a picture of the emptied shelf."""
    scene = ScriptedShelf(script_of(Action(4.0, "take", A)), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(90):
        cv2.imwrite(str(frames / f"{index:03}.png"), scene.render(index, 10)[..., ::-1])
    cv2.imwrite(str(tmp_path / "empty.png"), scene.empty()[..., ::-1])
    lines = ["config_version = 1", "[camera]", 'name = "t"', 'source = "frames"', "[model]", f'bundle = "{colour_bundle}"']
    lines += ["[shelf]", "dwell_ms = 100", "[state]", 'dir = "state"']
    for slot in GRID:
        x0, y0, x1, y1 = slot.box_xyxy_px
        lines += ["[[slot]]", f'name = "{slot.name}"', f"box = [{x0}, {y0}, {x1}, {y1}]"]
    path = tmp_path / "site.toml"
    path.write_text("\n".join(lines))
    return path


def test_a_theft_is_told(site: Path, tmp_path: Path) -> None:
    told = json.loads(shelfcam("reference", "--config", site, "--image", tmp_path / "empty.png", "--json").stdout)
    drawn = cv2.imread(told["slots_drawn"])
    assert (drawn != cv2.imread(told["reference"])).any()
    assert told["slots"] == len(GRID)
    events = [json.loads(line) for line in shelfcam("run", "--config", site).stdout.splitlines()]
    assert [(e["type"], e["slot"]) for e in events if e["kind"] == "event"] == [("taken", A)]


def test_without_a_reference_it_says_what_it_cannot_know(site: Path) -> None:
    done = shelfcam("run", "--config", site)
    assert "no reference of the empty shelf" in done.stderr
    assert "shelfcam reference" in done.stderr


def test_a_reference_of_another_size_or_a_slot_outside_is_refused(site: Path, tmp_path: Path) -> None:
    empty = cv2.imread(str(tmp_path / "empty.png"))
    cv2.imwrite(str(tmp_path / "large.png"), cv2.resize(empty, None, fx=2, fy=2))
    shelfcam("reference", "--config", site, "--image", tmp_path / "large.png")
    refused = shelfcam("run", "--config", site, expect=ExitCode.CONFIG)
    assert "is of 1280×720 pixels, the camera gives 640×360" in refused.stderr
    cv2.imwrite(str(tmp_path / "small.png"), empty[:100])
    refused = shelfcam("reference", "--config", site, "--image", tmp_path / "small.png", expect=ExitCode.CONFIG)
    assert "lies outside the frame" in refused.stderr


def test_the_camera_gives_a_reference(site: Path, tmp_path: Path) -> None:
    told = json.loads(shelfcam("reference", "--config", site, "--frames", "7", "--json").stdout)
    taken = cv2.imread(told["reference"]).astype(int)
    first = cv2.imread(str(tmp_path / "frames" / "000.png"))
    assert 0 < abs(taken - first).mean() < 4, "the median of the first frames: less noise"


def test_frames_of_several_sizes_end_it_with_the_name_of_the_first_other_one(site: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "frames" / "005.png"), cv2.imread(str(tmp_path / "frames" / "004.png"))[:200])
    refused = shelfcam("run", "--config", site, expect=ExitCode.DATA)
    assert "005.png: is of 640×200 pixels, the first was of 640×360" in refused.stderr
