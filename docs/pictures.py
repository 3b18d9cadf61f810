"""``make pictures``: the README's animated picture. The shelf is drawn; what is said of it is what the real loop reported."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.shelf.play import reported_of
from edge import console
from edge.bundle.reader import open_bundle
from edge.choice.loader import ModelLoader
from edge.data import U8Image
from edge.models import DEFAULT_BUNDLE, bundle_directory
from edge.scene.script import Action, Script
from edge.scene.scripted import ScriptedShelf, drawn_sprites
from edge.scene.shelf import slot_grid

PICTURE = Path(__file__).resolve().parent / "assets" / "shelf.webp"

SIZE_HW_PX, ROWS, COLUMNS, FPS, SEED = (360, 640), 2, 3, 10, 3
_EVERY = 2  # frames of the shelf for one of the picture
_SHOWN_S = 2.5  # how long an event is marked in its slot
_STRIP_PX, _LINES = 84, 3
_QUALITY, _NOISE = 60, 2.0
_COLOURS = {"taken": (60, 60, 220), "returned": (70, 160, 60), "replaced": (200, 120, 30)}  # BGR
_OTHER = (110, 110, 110)

Changes = list[tuple[float, str, str]]
"""(seconds, slot, what became of it)."""


def shelf(noise: float) -> ScriptedShelf:
    """Something is taken, brought back, exchanged; somebody passes; something else is taken. ``noise``: its σ, of 255."""
    slots = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
    x0, y0, x1, y1 = slots[0].box_xyxy_px
    sprites = drawn_sprites(len(slots) + 1, SEED, (y1 - y0, x1 - x0))
    *products, other = sprites
    start = {slot.name: product for slot, product in zip(slots, products, strict=True)}
    actions = (
        Action(0.0, "noise", last_s=24.0, amount=noise),
        Action(4.0, "take", "A2"),
        Action(9.0, "return", "A2", start["A2"]),
        Action(13.5, "swap", "B1", other),
        Action(16.0, "person", last_s=2.0),
        Action(20.0, "take", "B3"),
    )
    script = Script(start, actions, 24.0)
    return ScriptedShelf(script, sprites, SEED, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)


def reported(scene: ScriptedShelf) -> Changes:
    """What the loop says of the slots, with the default bundle's ONNX candidate."""
    bundle = open_bundle(bundle_directory(DEFAULT_BUNDLE))
    model = bundle.manifest.models[0]
    active = ModelLoader(bundle, model, threads=1, top_k=1).load(model.candidate("onnx-int8"))
    events = reported_of(scene, FPS, active)
    active.backend.close()
    return [(at_s, event.slot, event.type) for at_s, event in events if event.kind == "event" and event.slot and event.type]


def drawn(scene: ScriptedShelf, index: int, changes: Changes) -> U8Image:
    """A frame of the picture: H×W×3 uint8 BGR, the slots marked, the last events below."""
    canvas = cv2.cvtColor(scene.render(index, FPS), cv2.COLOR_RGB2BGR)
    known = [event for event in changes if event[0] <= index / FPS]
    for slot in scene.slots:
        marks = [became for at_s, name, became in known if name == slot.name and index / FPS - at_s <= _SHOWN_S]
        colour, width = (_COLOURS.get(marks[-1], _OTHER), 4) if marks else ((150, 150, 150), 1)
        x0, y0, x1, y1 = slot.box_xyxy_px
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, width)
        _write(canvas, slot.name, (x0 + 6, y0 + 18), (90, 90, 90), 0.5)
    strip = np.full((_STRIP_PX, SIZE_HW_PX[1], 3), 250, np.uint8)
    for line, (at_s, name, became) in enumerate(known[-_LINES:]):
        _write(strip, f"{at_s:5.1f} s   {name}   {became}", (14, 24 + 24 * line), _COLOURS.get(became, _OTHER), 0.6)
    return np.vstack([canvas, strip])


def _write(canvas: U8Image, text: str, at_xy: tuple[int, int], colour: tuple[int, int, int], scale: float) -> None:
    cv2.putText(canvas, text, at_xy, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def main() -> None:
    """Write it."""
    changes = reported(shelf(_NOISE))
    scene = shelf(0.0)  # the same without noise, which would be most of the file
    animation = cv2.Animation()
    animation.frames = [drawn(scene, index, changes) for index in range(0, int(scene.script.end_s * FPS), _EVERY)]
    animation.durations = np.full(len(animation.frames), 1000 * _EVERY // FPS, dtype=np.int32)
    if not cv2.imwriteanimation(str(PICTURE), animation, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]):
        raise SystemExit(f"{PICTURE}: this OpenCV writes no animated WebP")
    for at_s, name, became in changes:
        console.print_line(f"{at_s:5.1f} s  {name}  {became}")
    console.print_line(f"{PICTURE.name}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
