"""Does the picture still change? A sensor that hangs may go on delivering its last picture at the full rate."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from edge.data import U8Image

_STEP_PX = 8  # every eighth row and column: 43 KB of a 1280×720 frame


class FrozenWatch:
    """Tells how long frames have been the same, byte for byte, over a grid of pixels.

    A living sensor is never that still: its noise changes the lowest bits of some pixels even on a shelf where nothing moves.
    """

    def __init__(self) -> None:
        self._seen = b""
        self._since_ns = 0

    def unchanged_ns(self, pixels: U8Image, mono_ns: int) -> int:
        """How long, up to ``mono_ns``, all frames looked like ``pixels`` (H×W×3 uint8); 0 for the first of its kind."""
        sample = np.ascontiguousarray(pixels[::_STEP_PX, ::_STEP_PX])
        digest = blake2b(sample.data, digest_size=16).digest()
        if digest != self._seen:
            self._seen, self._since_ns = digest, mono_ns
        return mono_ns - self._since_ns
