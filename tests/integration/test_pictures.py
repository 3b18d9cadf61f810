"""Pictures of slots on a real disk: nobody who passes is on one, a full disk costs nothing else, and a reload turns them on and off."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.clock import Clock
from edge.data import ShelfEvent, U8Image
from edge.pictures.keeper import PictureKeeper, PictureLimits
from edge.pictures.ring import Ring
from edge.scene.items import paste
from edge.scene.script import Action, Script
from edge.scene.scripted import ScriptedShelf, _person
from tests.conftest import ROOT
from tests.fakes.command import shelfcam
from tests.fakes.disk import fill
from tests.fakes.patience import wait_until
from tests.fakes.scripted_shelf import (
    COLUMNS,
    GRID,
    NAMES,
    PRODUCTS,
    ROWS,
    SIZE_HW_PX,
    SPRITES,
    Told,
    play,
    script_of,
    shelf_of,
)
from tests.fakes.service_process import Service

BOXES = {slot.name: slot.box_xyxy_px for slot in GRID}
STANDS_S = (3.0, 10.0)
NOISE_APART = 5.0
"""Mean difference of a picture from the drawn shelf by noise of σ = 4 (3.2) and the JPEG; somebody in front makes much more."""


class Visited(ScriptedShelf):
    """A shelf in front of which somebody stands still for a while; ``colour`` of head and coat, None: as drawn."""

    def __init__(self, script: Script, left_px: int, colour: Sequence[int] | None) -> None:
        super().__init__(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
        self._left_px, self._visitor = left_px, _person((SIZE_HW_PX[0], 200))
        if colour is not None:
            self._visitor[..., :3] = colour

    def render(self, index: int, fps: float) -> U8Image:
        frame = super().render(index, fps)
        if STANDS_S[0] <= index / fps < STANDS_S[1]:
            paste(frame, self._visitor, self._left_px, 0)
        return frame

    def moments(self) -> list[U8Image]:
        """The shelf with what was in it at each time, and nobody in front."""
        return [self._shelf(at_s) for at_s in np.arange(0, self.script.end_s, 0.5)]


def stored_pictures(directory: Path, told: Told) -> list[tuple[ShelfEvent, str, U8Image]]:
    """(Event, before or after, RGB) of each file; every flag has its file, every file its flag."""
    found = []
    for _, event in told.of_slots():
        for flag in event.flags:
            kind, _, when = flag.partition("=")
            assert kind == "picture"
            picture = cv2.imread(str(directory / f"{event.id}-{when}.jpg"))
            found.append((event, when, picture[..., ::-1].astype(int)))
    assert len(found) == len(list(directory.iterdir()))
    return found


@pytest.mark.parametrize("left_px", [-30, 150, 390])
@pytest.mark.parametrize(
    "colour", [None, (164, 159, 146), (30, 30, 30), (230, 225, 215)], ids=["drawn", "as the shelf", "dark", "light"]
)
def test_nobody_who_stands_there_while_goods_are_taken_is_on_a_picture(tmp_path: Path, left_px: int, colour) -> None:
    """In three places, before slots that are emptied and beside them, and in four colours: one is that of the shelf itself."""
    actions = [Action(5.0, "take", NAMES[0]), Action(5.0, "take", NAMES[4]), Action(6.0, "swap", NAMES[1], PRODUCTS[9])]
    scene = Visited(script_of(*actions, end_s=14), left_px, colour)
    ring = Ring(tmp_path, "cam", max_bytes=10**6, max_age_s=10**6, clock=Clock())
    with closing(PictureKeeper(ring, PictureLimits(320, 95), live=False)) as keeper:
        told = play(scene.script, watched=shelf_of(scene, pictures=keeper), scene=scene)
    assert len(told.changes()) == 3
    pictures = stored_pictures(tmp_path, told)
    assert len(pictures) >= 4, "of 6; beside somebody in the shelf's own colour two are left out"
    clean = scene.moments()
    for event, when, picture in pictures:
        x0, y0, x1, y1 = BOXES[event.slot]
        assert picture.shape == (y1 - y0, x1 - x0, 3)
        nearest = min(np.abs(picture - shelf[y0:y1, x0:x1]).mean() for shelf in clean)
        assert nearest < NOISE_APART, f"{event.type} {event.slot} {when}: {nearest:.1f} from any state of the shelf"


@pytest.mark.parametrize("left_px", [-30, 150, 390])
def test_the_comparison_would_see_somebody(left_px: int) -> None:
    scene = Visited(script_of(end_s=14), left_px, None)
    frame, clean = scene.render(60, 10).astype(int), scene.moments()
    apart = [
        min(np.abs(frame[y0:y1, x0:x1] - shelf[y0:y1, x0:x1]).mean() for shelf in clean) for x0, y0, x1, y1 in BOXES.values()
    ]
    assert sum(one > 3 * NOISE_APART for one in apart) >= 2, "slots that somebody stands in front of"


def test_a_full_disk_costs_pictures_and_one_warning_and_heals(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    ring = Ring(small_disk / "pictures", "cam", max_bytes=1_000_000, max_age_s=10**6, clock=Clock())
    with caplog.at_level(logging.WARNING), closing(PictureKeeper(ring, PictureLimits(320, 85), live=True)) as keeper:
        keeper.keep("cam-000000000001", picture, picture)
        wait_until(lambda: len(ring.names) == 2)
        fill(small_disk / "filler")
        for number in range(2, 8):
            assert keeper.keep(f"cam-{number:012d}", picture, picture) == ("picture=before", "picture=after")
        wait_until(lambda: keeper._lost == 11, "all but the one that was told")
        assert {path.name for path in ring.directory.iterdir()} == set(ring.names), "no half of a picture stays"
        (small_disk / "filler").unlink()
        for number in range(8, 60):
            keeper.keep(f"cam-{number:012d}", picture, picture)
    assert caplog.text.count("No space left") == 1
    assert ring.names[-1] == "cam-000000000059-after.jpg"
    assert ring.bytes == sum(path.stat().st_size for path in ring.directory.iterdir()) <= 1_000_000


@pytest.fixture
def site(tmp_path: Path, colour_bundle: Path) -> Path:
    """The config of a shelf whose first slot is emptied, with its reference taken, and pictures wanted."""
    scene = ScriptedShelf(script_of(Action(4.0, "take", NAMES[0])), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(90):
        cv2.imwrite(str(frames / f"{index:03}.png"), scene.render(index, 10)[..., ::-1])
    cv2.imwrite(str(tmp_path / "empty.png"), scene.empty()[..., ::-1])
    lines = ["config_version = 1", "[camera]", 'name = "t"', 'source = "frames"', "[model]", f'bundle = "{colour_bundle}"']
    lines += ["[shelf]", "dwell_ms = 100", "[state]", 'dir = "state"', *slot_tables(), "[pictures]", "max_side_px = 64"]
    path = tmp_path / "site.toml"
    path.write_text("\n".join(lines))
    shelfcam("reference", "--config", path, "--image", tmp_path / "empty.png")
    return path


def slot_tables() -> list[str]:
    boxes = {name: ", ".join(map(str, box)) for name, box in BOXES.items()}
    return [line for name, box in boxes.items() for line in ("[[slot]]", f'name = "{name}"', f"box = [{box}]")]


def test_a_theft_has_its_pictures_and_the_doctor_counts_them(site: Path, tmp_path: Path) -> None:
    events = [json.loads(line) for line in shelfcam("run", "--config", site).stdout.splitlines()]
    (theft,) = (event for event in events if event["kind"] == "event")
    assert theft["type"] == "taken"
    assert {"picture=before", "picture=after"} < set(theft["flags"])
    album = tmp_path / "state" / "t" / "pictures"
    before, after = (cv2.imread(str(album / f"{theft['id']}-{when}.jpg")) for when in ("before", "after"))
    assert before.shape == after.shape
    assert max(before.shape) == 64
    assert np.abs(before.astype(int) - after).mean() > 10
    lines = json.loads(shelfcam("doctor", "--config", site, "--json").stdout)["lines"]
    (line,) = (line for line in lines if line["area"] == "pictures")
    assert (line["status"], line["found"].split(",")[0]) == ("ok", "2 files")


def test_it_says_of_what_no_picture_is_taken(site: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "t" / "reference.png").rename(tmp_path / "kept.png")
    assert "no pictures are taken, for the view is not checked" in shelfcam("run", "--config", site, "--frames", "1").stderr
    (tmp_path / "kept.png").rename(tmp_path / "state" / "t" / "reference.png")
    assert "no pictures are taken" not in shelfcam("run", "--config", site, "--frames", "1").stderr
    x0, y0, x1, y1 = BOXES[NAMES[0]]
    around = [(0, 0, 640, y0), (0, y1, 640, min(360, y1 + 24)), (0, y0, x0, y1), (x1, y0, x1 + 24, y1)]
    text = site.read_text()
    for name in NAMES[1:]:
        text = text.replace(f'[[slot]]\nname = "{name}"\nbox = [{", ".join(map(str, BOXES[name]))}]\n', "")
    boxes = [f'[[slot]]\nname = "around-{n}"\nbox = [{", ".join(map(str, box))}]\n' for n, box in enumerate(around)]
    site.write_text(text + "\n" + "".join(boxes))
    assert f"no pictures are taken of {NAMES[0]}, " in shelfcam("run", "--config", site, "--frames", "1").stderr


def test_the_service_on_a_full_disk_tells_the_theft_all_the_same(site: Path, tmp_path: Path, small_disk: Path) -> None:
    """The pictures' disk is full, the state's is not."""
    shutil.copy(site, tmp_path / "full.toml")
    (tmp_path / "full.toml").write_text(site.read_text() + f'\ndir = "{small_disk}"\n')
    fill(small_disk / "filler")
    done = shelfcam("run", "--config", tmp_path / "full.toml")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events if event["kind"] == "event"] == ["taken"]
    assert "pictures are lost" in done.stderr
    assert os.listdir(small_disk) == ["filler"]


def test_a_reload_turns_them_on_and_off(site: Path, tmp_path: Path) -> None:
    """Seen by what the ring does to files of earlier events: over the quota they go, but only while it is on."""
    text = (
        site.read_text()
        .replace('source = "frames"', 'source = "synthetic:fps=20,size=640x360"')
        .replace("config_version = 1\n", "")
    )
    table = text.index("[pictures]")
    service, album = Service(tmp_path), tmp_path / "state" / "shelf-1" / "pictures"
    on, off = (part.replace('name = "t"', 'name = "shelf-1"') for part in (text + "\nmax_mb = 1", text[:table]))
    state = tmp_path / "state"
    shutil.move(state / "t", state / "shelf-1")
    service.write(off)
    with_events = [sys.executable, "-m", "edge.cli", "run", "--config", str(service.config), "--frames", "2"]
    for _ in range(3):  # takes the numbers 1 to 6: started and stopped
        subprocess.run(with_events, cwd=ROOT, check=True, capture_output=True)
    album.mkdir()

    def put_four() -> None:
        for number in range(1, 5):
            (album / f"shelf-1-{number:012d}-after.jpg").write_bytes(bytes(400_000))

    put_four()
    service.start()
    try:
        service.wait("the start", lambda: "started" in service.types())
        assert len(os.listdir(album)) == 4, "off: nothing is touched"
        assert service.process is not None
        for wanted, reloads, left in ((on, 1, 2), (off, 2, 4)):
            put_four()
            service.write(wanted)
            service.process.send_signal(signal.SIGHUP)
            service.wait("the reload", lambda reloads=reloads: service.types().count("reloaded") == reloads)
            assert len(os.listdir(album)) == left
    finally:
        assert service.stop() == 0
