"""Frames that are in memory already: benchmarks without a disk or a camera, and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edge.clock import Clock
from edge.data import Tick, U8Image
from edge.sources.pull import PullSource


class ArrayFrames(PullSource):
    """``count`` frames that cycle over ``frames`` without copying: a frame's pixels are the caller's array itself.

    Args:
        frames: H×W×3 uint8 RGB, C-contiguous; their sizes may differ.
        count: how many frames to deliver; each array once if None.
        clock: stamps the frames.

    Raises:
        ValueError: there are no frames, or one has another shape, dtype or layout.
    """

    def __init__(self, frames: Sequence[U8Image], count: int | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(clock)
        for pixels in frames:
            if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.flags.c_contiguous:
                raise ValueError(f"frames must be contiguous H×W×3 uint8, not {pixels.shape} {pixels.dtype}")
        if not len(frames):
            raise ValueError("there are no frames to deliver")
        self._frames = frames
        self._count = len(frames) if count is None else count

    def _open(self) -> None:
        pass  # nothing can be missing

    def _ticks(self) -> Iterator[Tick]:
        for index in range(self._count):
            yield self._frame(self._frames[index % len(self._frames)], None)
