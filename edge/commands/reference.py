"""``shelfcam reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from cyclopts import Parameter, validators

from edge import console, exposure
from edge.clock import Clock
from edge.commands import options
from edge.config import SlotConfig, load_config, state_directory
from edge.data import Frame, U8Image
from edge.errors import SourceError
from edge.files import write_atomic
from edge.images import read_rgb
from edge.shelf import reference as references
from edge.shelf.layout import place_of
from edge.site import open_camera
from edge.sources import show_source

_LINE_RGB = (255, 64, 0)


def reference(
    *,
    config: Annotated[Path, Parameter(name="--config", help="Site configuration (TOML) with the slots.")],
    image: Annotated[Path | None, Parameter(help="Take this picture of the emptied shelf, not one of the camera.")] = None,
    frames: Annotated[int, Parameter(help="Frames whose median is taken.", validator=validators.Number(gte=5, lte=101))] = 15,
    json: options.JsonOption = False,
) -> None:
    """Photograph the emptied shelf once, at install: by this picture the camera knows an empty slot and a clear view.

    Take everything off the shelf, leave the light as it usually is, and run it. Beside the reference a picture with the slots drawn in is
    written, to be looked at. A running camera takes the new reference at its next start.

    **Examples**

        shelfcam reference --config /etc/shelfcam/shelf-1.toml
        shelfcam reference --config shelf.toml --image empty.jpg
    """
    site = load_config(config)
    exposure.warn(site)
    if image is not None:
        taken = references.Reference(read_rgb(image))
    else:
        with open_camera(site.camera, Clock()) as source:
            pictures = []
            for tick in source:
                if isinstance(tick, Frame):
                    pictures.append(tick.pixels)
                if len(pictures) == frames:
                    break
        if not pictures:
            raise SourceError(f"{show_source(site.camera.source)}: gave no frame", fix="check the camera")
        taken = references.from_frames(pictures)
    drawn = _with_slots(taken.pixels, site.slot)
    directory = state_directory(site)
    path = references.save(directory, taken)
    beside = directory / "reference-slots.png"
    write_atomic(beside, cv2.imencode(".png", drawn[..., ::-1])[1].tobytes(), follow=False)
    if json:
        console.print_json({"reference": str(path), "slots_drawn": str(beside), "slots": len(site.slot)})
    else:
        console.print_line(str(path))
        console.print_line(f"{beside}: {len(site.slot)} slots")


def _with_slots(pixels: U8Image, slots: tuple[SlotConfig, ...]) -> U8Image:
    """A copy with every slot's outline and name. Raises ConfigError for a slot outside the picture."""
    drawn = np.ascontiguousarray(pixels).copy()
    for slot in slots:
        place = place_of(slot, drawn.shape[:2])
        x0, y0, x1, y1 = place.box_xyxy_px
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)
        if place.matrix is not None:
            flat = np.array([[(0, 0), (place.size_wh_px[0], 0), place.size_wh_px, (0, place.size_wh_px[1])]], dtype=np.float64)
            corners = cv2.perspectiveTransform(flat, np.linalg.inv(place.matrix))[0]
        cv2.polylines(drawn, [np.rint(corners).astype(np.int32)], True, _LINE_RGB, 2)
        cv2.putText(drawn, slot.name, (x0 + 4, y0 + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, _LINE_RGB, 2, cv2.LINE_AA)
    return np.asarray(drawn, dtype=np.uint8)
