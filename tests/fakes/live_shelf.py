"""A shelf with two places in front of a network camera, whose goods a test moves while the camera runs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.shelf import reference
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import slowness

SIZE_HW_PX = (240, 320)
BOXES = {"A": (48, 64, 128, 176), "B": (192, 64, 272, 176)}
"""Left, top, right, bottom."""
GOODS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230), "white": (235, 235, 235)}


class LiveShelf:
    """``picture`` is for ``MjpegServer``; ``scale``: of the frames' size."""

    def __init__(self) -> None:
        small = np.random.default_rng(3).integers(60, 150, (15, 20, 3), dtype=np.uint8)
        self.empty = cv2.resize(small, SIZE_HW_PX[::-1], interpolation=cv2.INTER_NEAREST)
        self.scale = 1.0
        self._goods: dict[str, str | None] = dict.fromkeys(BOXES)

    def put(self, slot: str, good: str | None) -> None:
        """None: empty."""
        self._goods[slot] = good

    def picture(self, index: int) -> np.ndarray:
        """H×W×3 RGB, with a sensor's noise."""
        scene = self.empty.astype(np.int16)
        for slot, good in self._goods.items():
            if good is not None:
                left, top, right, bottom = BOXES[slot]
                scene[top:bottom, left:right] = GOODS[good]
                scene[top + 20 : top + 40, left:right] -= 20  # a label on it
        noisy = scene + np.random.default_rng(index).integers(-3, 4, scene.shape)
        whole = np.clip(noisy, 0, 255).astype(np.uint8)
        return whole if self.scale == 1.0 else cv2.resize(whole, None, fx=self.scale, fy=self.scale)

    def serve(self, port: int = 0, fps: float = 10) -> MjpegServer:
        return MjpegServer(self.picture, fps=fps, port=port)

    def site(self, bundle: Path, url: str, more: str = "", *, timeout_ms: float = 2_000) -> str:
        """A config of both places, ``camera.name`` c, state beside it; ``more`` before the slots.

        A silence of ``timeout_ms`` makes a good that is gone ``empty``, for nobody saw it go, and not ``taken``: the default is
        longer than a busy machine pauses a process for. Both time limits grow with this machine's slowness.
        """
        slow = slowness()
        slots = "\n".join(f"[[slot]]\nname = '{name}'\nbox = {list(box)}" for name, box in BOXES.items())
        return (
            f"[camera]\nname = 'c'\nsource = '{url}'\ntimeout_ms = {round(timeout_ms * slow)}\n"
            f"open_timeout_ms = {round(5_000 * slow)}\n[model]\nbundle = '{bundle}'\n"
            f"[state]\ndir = 'state'\n[shelf]\ndwell_ms = 500\nrefresh_s = 3600\n{more}\n{slots}"
        )

    def photograph(self, folder: Path) -> None:
        """The reference of the empty shelf, for the camera of ``site`` in ``folder``."""
        state = folder / "state" / "c"
        state.mkdir(parents=True, exist_ok=True)
        reference.save(state, reference.Reference(self.empty))
