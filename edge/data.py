"""What flows through the spine. Frozen, slotted, and with the unit in every name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

U8Image = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the frame, right and bottom excluded."""
Tensor = npt.NDArray[Any]
RawOutputs = tuple[Tensor, ...]
"""The model's outputs in the order of the manifest, still in the model's own dtype."""

EVENT_SCHEMA = 1

Provider = Literal["cpu", "xnnpack", "acl", "cuda", "tensorrt", "tensorrt-fp16", "delegate"]
"""Where a candidate runs. ``cpu`` is the runtime's own kernels: for TFLite those are XNNPACK's. ``tensorrt`` keeps the precision of
the file, ``tensorrt-fp16`` may calculate in half precision; ``delegate`` is a TFLite delegate that the site names."""
WantedProvider = Literal["auto", "cpu", "cuda", "tensorrt", "xnnpack", "acl", "delegate"]
"""What a site may ask for; ``auto``: the CPU, and of the others the first that passes the gate."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the shelf.

    ``pixels`` is owned, C-contiguous, H×W×3, uint8, RGB. ``captured_mono_ns`` (``time.monotonic_ns``) orders and ages frames on
    this machine; ``captured_utc`` dates them for people and is only as good as ``clock_synced`` says. ``seq`` counts what the
    camera delivered from 0, dropped frames included. ``name`` is the file a frame came from, if any. ``small``: the same picture in
    less pixels, owned, h×w×3 uint8 RGB, where the camera makes one by itself; rest and view health may be judged by it, no model is asked
    about it.
    """

    pixels: U8Image
    seq: int
    captured_mono_ns: int
    captured_utc: datetime
    clock_synced: bool
    simulated: bool = False
    name: str | None = None
    small: U8Image | None = None


class NoFrameReason(Enum):
    """Why a tick carries no picture."""

    TIMEOUT = "timeout"  # the camera delivered nothing within timeout_ms
    CORRUPT = "corrupt"  # a file is there but cannot be decoded; it was skipped
    FROZEN = "frozen"  # the camera delivers, but the same picture for frozen_ms: its sensor hangs


@dataclass(frozen=True, slots=True)
class NoFrame:
    """A tick without a picture, so that dwell times, refreshes and stalls go on while a camera is silent."""

    reason: NoFrameReason
    detail: str
    mono_ns: int


Tick = Frame | NoFrame


class Score(msgspec.Struct, frozen=True):
    """One class and how sure the model is: ``score`` is a probability in [0, 1]; ``index`` is the line in labels.txt, from 0."""

    label: str
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Classes:
    """Of an answer: the best classes first."""

    answer: str
    top: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Embedding:
    """Of an answer: ``vector``, D float32 as the model gives it."""

    answer: str
    vector: F32


@dataclass(frozen=True, slots=True)
class Boxes:
    """Of an answer: what was found in a region. ``boxes_xyxy_px``: K×4 float32, left, top, right, bottom in the region's own pixels;
    ``top``: what each is, the surest first."""

    answer: str
    boxes_xyxy_px: F32
    top: tuple[Score, ...]


Answer = Classes | Embedding | Boxes


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame on its way through the stages.

    ``slot``: where it belongs. ``pixels``: H×W×3 uint8 RGB, a view into its frame where that is possible. ``box_xyxy_px``: the smallest
    box around it in the frame, right and bottom excluded; None: its place is of no interest (a picture from a file). ``to_frame``: 3×3
    float64 homography from ``pixels`` to the frame, where it is not the box's corner alone. ``answers``: of the stages so far;
    ``wants``: names of the answers that are asked for here, None: whatever a model gives.
    """

    slot: str
    pixels: U8Image
    box_xyxy_px: Box | None = None
    to_frame: F64 | None = None
    answers: tuple[Answer, ...] = ()
    wants: frozenset[str] | None = None

    def part(self, box_xyxy_px: Box) -> Region:
        """What lies in a box of this region's own pixels: a view, without answers, that knows its place in the frame."""
        left, top, right, bottom = box_xyxy_px
        pixels = self.pixels[top:bottom, left:right]
        if self.to_frame is None:
            x, y = self.box_xyxy_px[:2] if self.box_xyxy_px is not None else (0, 0)
            return Region(self.slot, pixels, (x + left, y + top, x + right, y + bottom), wants=self.wants)
        shift = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], dtype=np.float64)
        to_frame = np.asarray(self.to_frame @ shift, dtype=np.float64)
        corners = to_frame @ np.array([[0, right - left, right - left, 0], [0, 0, bottom - top, bottom - top], [1, 1, 1, 1]])
        xs, ys = corners[0] / corners[2], corners[1] / corners[2]
        box = (int(np.floor(xs.min())), int(np.floor(ys.min())), int(np.ceil(xs.max())), int(np.ceil(ys.max())))
        return Region(self.slot, pixels, box, to_frame, wants=self.wants)

    def is_asked(self, answers: Iterable[str]) -> bool:
        """Whether one of these answers is wanted here."""
        return self.wants is None or not self.wants.isdisjoint(answers)

    @property
    def top(self) -> tuple[Score, ...]:
        """Of the first answer that has some: the best classes, or what the surest boxes are."""
        return next((answer.top for answer in self.answers if not isinstance(answer, Embedding)), ())

    @property
    def vector(self) -> F32 | None:
        """Of the first answer that has one."""
        return next((answer.vector for answer in self.answers if isinstance(answer, Embedding)), None)


class ViewState(Enum):
    """Whether the camera can see its shelf. ``UNCHECKED``: no reference picture was taken at install;
    ``DOUBTFUL``: this frame shows a fault, which is believed and told only once it has lasted."""

    CLEAR = "clear"
    UNCHECKED = "unchecked"
    DOUBTFUL = "doubtful"
    DARK = "dark"
    BRIGHT = "bright"
    COVERED = "covered"
    BLURRED = "blurred"
    MOVED = "moved"
    FROZEN = "frozen"

    @property
    def sees(self) -> bool:
        """Whether what a frame shows may be believed."""
        return self in (ViewState.CLEAR, ViewState.UNCHECKED)


Holds = Literal["unknown", "empty", "product"]
TransitionKind = Literal["taken", "returned", "replaced", "empty", "unknown"]


class SlotReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a slot holds, as far as is known.

    ``label``: of a product. ``reason``: why ``holds`` is unknown: a ``ViewState`` that hides the shelf, ``not_looked_at`` or
    ``not_recognised``. ``misplaced``: another product belongs there.
    """

    name: str
    holds: Holds
    label: str | None = None
    reason: str | None = None
    misplaced: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition to be told. Labels are None for an empty slot and for a product that is not known."""

    kind: TransitionKind
    before: str | None
    after: str | None


EventKind = Literal["observation", "event", "status"]


class ShelfEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves the camera, JSON schema 1.

    ``id`` is the camera and a counter that never runs backwards on that camera: unique, and it sorts in the order of events.
    ``observation``: what one frame showed in one slot (``type``, ``before`` and ``after`` are null). ``event``: a slot changed.
    ``status``: the service itself (``started``, ``candidate``, ``view``, ``slots``, ``recovery``, ``thermal``, ``reloaded``, ``stopped``
    and others); its ``flags`` say what happened, and its ``slots`` what slots hold where that has become known or unknown.
    """

    schema: int = EVENT_SCHEMA
    kind: EventKind
    id: str
    camera: str
    slot: str | None
    seq: int | None
    captured_utc: datetime
    type: str | None = None
    before: str | None = None
    after: str | None = None
    top: tuple[Score, ...] = ()
    slots: tuple[SlotReport, ...] = ()
    flags: tuple[str, ...] = ()
    bundle: str
    model: str
    simulated: bool
