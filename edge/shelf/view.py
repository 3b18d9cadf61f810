"""Can the camera see its shelf? Each frame against the reference, by what lies between the slots: goods come and go, the shelf stays."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import F32, Frame, Tick, ViewState
from edge.shelf.glance import Glance, Glancer, gain_between, in_reference_light, light_unit
from edge.sources.lores import GREY_PX

CONFIRM_NS = 1_500_000_000
CLEAR_NS = 500_000_000
FROZEN_NS = 2_000_000_000

_DARK_LEVEL = 16.0  # of 255; the 95th percentile of a frame: below it nothing can be told apart any more
_FULL_LEVEL, _FULL_SHARE = 245.0, 0.6
_DIFFERS = 0.16  # of the light: a pixel that is another one
_COVERED_SHARE = 0.7
_SHARP_SHARE = 0.45
_STILL_SHARE, _ELSEWHERE_SHARE = 0.01, 0.45
_MOVED_PX = 4.0
_CERTAIN, _CERTAIN_WHOLE = 0.15, 0.04
"""phaseCorrelate's response: measured on shelves moved by 5 to 30 pixels in six directions, .03 to .15 in the whole frame when right."""


Shift = tuple[float | None, float | None]
"""x and y in pixels of the frame; None where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Background:
    """What every frame is compared with. ``small`` h×w×3 and ``grey`` 2h×2w, float32: of the reference; ``mask`` h×w and ``grey_mask``
    2h×2w, bool: outside all slots; ``sharpness``: of the reference there."""

    small: F32
    grey: F32
    mask: npt.NDArray[np.bool_]
    grey_mask: npt.NDArray[np.bool_]
    sharpness: float


def background(reference: Glance, mask: npt.NDArray[np.bool_]) -> Background:
    """``mask``: h×w, True outside all slots."""
    grey_mask = np.kron(mask, np.ones((2, 2), dtype=np.bool_)).astype(np.bool_)
    return Background(reference.small, reference.grey, mask, grey_mask, _sharpness(reference.grey, grey_mask))


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame's verdict; ``shift_px`` where the view has moved."""

    state: ViewState
    shift_px: Shift = (None, None)


def judge(glance: Glance, base: Background, gain: float) -> Seen:
    """What one frame shows, by itself. ``gain``: how much brighter it is than the reference."""
    grey = glance.grey
    if float(np.percentile(grey[::2, ::2], 95)) < _DARK_LEVEL:
        return Seen(ViewState.DARK)
    if float((grey[::2, ::2] > _FULL_LEVEL).mean()) > _FULL_SHARE:
        return Seen(ViewState.BRIGHT)
    differs = _differing_share(glance.small, base, gain)
    if differs > _COVERED_SHARE:
        return Seen(ViewState.COVERED)
    if base.sharpness > 0 and _sharpness(in_reference_light(grey, gain), base.grey_mask) < _SHARP_SHARE * base.sharpness:
        return Seen(ViewState.BLURRED)
    if differs > _STILL_SHARE:  # else nothing can have moved, and measuring takes milliseconds
        shift = shift_px(grey, base)
        if any(abs(along or 0.0) > _MOVED_PX for along in shift) or differs > _ELSEWHERE_SHARE:
            return Seen(ViewState.MOVED, shift)
    return Seen(ViewState.CLEAR)


def _differing_share(small: F32, base: Background, gain: float) -> float:
    """The share of the background's pixels that are another than in the reference."""
    expected = np.minimum(base.small[base.mask] * np.float32(gain), np.float32(250))
    apart = np.abs(expected - np.minimum(small[base.mask], np.float32(250))).max(axis=1)
    return float((apart > _DIFFERS * light_unit(gain)).mean())


def _sharpness(grey: F32, mask: npt.NDArray[np.bool_]) -> float:
    """Mean of the strongest hundredth of the edges."""
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F, ksize=3))[mask]
    count = max(1, edges.size // 100)
    return float(np.partition(edges, -count)[-count:].mean()) if edges.size else 0.0


def shift_px(grey: F32, base: Background) -> Shift:
    """By how many pixels of the frame the background has moved.

    Phase correlation (C. Kuglin and D. Hines, 1975; OpenCV's phaseCorrelate) of upright edges for x and of level ones for y, since a shelf
    has many more of the latter. Between the slots it is exact while what lies there stays there; of a farther move only some is found
    there, so it is then looked for in the whole frame.
    """
    return _certain_along(0, grey, base), _certain_along(1, grey, base)


def _certain_along(axis: int, grey: F32, base: Background) -> float | None:
    for mask, least in ((base.grey_mask, _CERTAIN), (None, _CERTAIN_WHOLE)):
        shift, certain = _along(axis, grey, base, mask)
        if certain > least and abs(shift) < min(grey.shape) / 4:
            return GREY_PX * shift
    return None


def _along(axis: int, grey: F32, base: Background, mask: npt.NDArray[np.bool_] | None) -> tuple[float, float]:
    """(shift along x or y in pixels of ``grey``, certainty)."""
    moved, certain = cv2.phaseCorrelate(_edges(axis, base.grey, base.grey_mask), _edges(axis, grey, mask))
    return float(moved[axis]), float(certain)


def _edges(axis: int, grey: F32, mask: npt.NDArray[np.bool_] | None) -> F32:
    """Changes along ``axis``, without their strength, and within ``mask`` alone: light does not move the result."""
    edges = np.abs(cv2.Sobel(grey, cv2.CV_32F, int(axis == 0), int(axis == 1)))
    if mask is not None:
        edges[~mask] = 0
    return np.asarray(edges / (float(edges.std()) + 1e-6), dtype=np.float32)


class ViewWatch:
    """The state over time: what a frame shows counts once it has been so for ``confirm_ns``; one that is the same as the last, bit for bit,
    for ``frozen_ns`` comes from a sensor that has stopped.

    Args:
        base: the reference, for frames of its size.
        glancer: shared with the shelf.
        confirm_ns: how long a view must be bad until it is said; ``clear_ns``: how long good.
        frozen_ns: how long identical frames are believed.
    """

    def __init__(
        self,
        base: Background,
        glancer: Glancer,
        *,
        confirm_ns: int = CONFIRM_NS,
        clear_ns: int = CLEAR_NS,
        frozen_ns: int = FROZEN_NS,
    ) -> None:
        self.state = ViewState.CLEAR
        self._shift_px: Shift = (None, None)
        self._base, self._glancer = base, glancer
        self._confirm_ns, self._clear_ns, self._frozen_ns = confirm_ns, clear_ns, frozen_ns
        self._next, self._since_ns = ViewState.CLEAR, 0
        self._print, self._print_since_ns = 0, 0

    def flags(self) -> tuple[str, ...]:
        """What an event about the present state says besides: by how many pixels the view has moved, "?" where it cannot be told."""
        if self.state is not ViewState.MOVED:
            return ()
        return ("shift_px=" + ",".join("?" if along is None else f"{along:.0f}" for along in self._shift_px),)

    def check(self, tick: Tick) -> ViewState:
        """The state of the view at this tick; without a frame, what it was."""
        if not isinstance(tick, Frame):
            return self.state
        glance, now_ns = self._glancer.at(tick), tick.captured_mono_ns
        if glance.print != self._print:
            self._print, self._print_since_ns = glance.print, now_ns
        if now_ns - self._print_since_ns >= self._frozen_ns:
            self.state = self._next = ViewState.FROZEN
            return self.state
        gain = gain_between(self._base.small[self._base.mask], glance.small[self._base.mask])
        seen = judge(glance, self._base, gain)
        if seen.state is not self._next:
            self._next, self._since_ns = seen.state, now_ns
        wait_ns = self._clear_ns if seen.state is ViewState.CLEAR else self._confirm_ns
        if self._next is not self.state and now_ns - self._since_ns >= wait_ns:
            self.state, self._shift_px = self._next, seen.shift_px
        doubtful = self.state is ViewState.CLEAR and seen.state is not ViewState.CLEAR
        return ViewState.DOUBTFUL if doubtful else self.state
