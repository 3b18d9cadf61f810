"""Is this the thing that was there before? By its looks, not by its label."""

from __future__ import annotations

import numpy as np

from edge.data import F32

_SHIFT_PX = 2  # of a glance, by which it may stand elsewhere
_BARE = 14.0  # of 255: nearer to the empty slot than that is the empty slot
_FEW = 12  # pixels that show something, below which there is nothing to compare


def likeness(one: F32, other: F32, empty: F32 | None) -> float:
    """Correlation of two pictures of a slot, in -1…1: the best over small shifts, over the pixels that show no empty slot.

    Args:
        one: h×w×3 float32, in the light of the reference; ``other`` likewise.
        empty: the empty slot; None: all pixels count.
    """
    h, w = one.shape[:2]
    s = min(_SHIFT_PX, (min(h, w) - 1) // 4)
    inner = one[s : h - s, s : w - s]
    bare = None if empty is None else empty[s : h - s, s : w - s]
    best = -1.0
    for dy in range(2 * s + 1):
        for dx in range(2 * s + 1):
            moved = other[dy : dy + h - 2 * s, dx : dx + w - 2 * s]
            best = max(best, _correlation(inner, moved, bare))
    return best


def _correlation(one: F32, other: F32, bare: F32 | None) -> float:
    if bare is None:
        a, b = one.reshape(-1, 3), other.reshape(-1, 3)
    else:
        shown = np.maximum(np.abs(one - bare), np.abs(other - bare)).max(axis=2) > _BARE
        a, b = one[shown], other[shown]
    if len(a) < _FEW:
        return -1.0
    a, b = a - a.mean(), b - b.mean()  # of all channels together: a colour is part of the looks
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else -1.0
