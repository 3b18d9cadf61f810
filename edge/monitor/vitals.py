"""What can be known about a running camera without touching its loop: counters that the loop keeps anyway, read from another thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from edge.board.pace import PaceSigns
from edge.clock import Clock
from edge.errors import SinkError
from edge.files import read_regular, write_atomic
from edge.monitor.heartbeat import Heartbeat

_LOG = logging.getLogger(__name__)

_NUMBER_BYTES = 16


@dataclass(slots=True)
class SlotCounts:
    """Over all frames: slots that the model was asked about, and slots that it was not."""

    inferred: int = 0
    skipped: int = 0


class SinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One sink now. ``waiting``, ``delivered``, ``refused``: events, the last two since the start. ``failing``: why, or null."""

    label: str
    waiting: int
    delivered: int
    refused: int
    failing: str | None


class OutboxStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The outbox now, for metrics and ``doctor``.

    ``bytes`` of ``max_bytes``: stored events, delivered ones included. ``in_memory``: events not stored yet. ``lost``: events
    that no sink will get, since the state directory was made. ``trouble``: why nothing can be stored, or null.
    """

    bytes: int
    max_bytes: int
    in_memory: int
    lost: int
    trouble: str | None
    sinks: tuple[SinkStatus, ...]


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a camera. Counters only grow, also when the configuration is read again.

    ``frames`` went through the whole loop, ``dropped`` were overwritten by newer ones, ``skipped`` are files that could not be
    decoded; of ``source_frames`` the present source is the origin. ``frame_age_s``: how old the newest frame is that went through;
    ``idle_s``: how long ago the last one did, or the source was opened. ``starts``: of this camera's process, ever.
    ``slots_inferred``, ``slots_skipped``: slots of frames that the model was asked about, or was not. ``recoveries``: step of the
    recovery ladder → how often it was taken. ``rate``: share of the full rate at which frames are let through while the board is hot,
    1.0 otherwise, and ``rate_reason``; ``held``: frames that were not let through; ``rate_downs``, ``rate_ups``: steps of the rate.
    ``bundle_refused``: why the configured bundle does not run and the last good one does.
    """

    camera: str
    bundle: str
    model: str
    real_camera: bool
    frames: int
    source_frames: int
    dropped: int
    skipped: int
    frame_age_s: float | None
    idle_s: float
    starts: int
    reloads: int
    recoveries: dict[str, int]
    slots_inferred: int
    slots_skipped: int
    rate: float
    rate_reason: str | None
    held: int
    rate_downs: int
    rate_ups: int
    bundle_refused: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What /healthz says. ``ready``: a frame of a real camera went through, and still they do; ``healthy``: nothing is stalled."""

    status: Literal["ok", "starting", "stalled", "no camera"]
    ready: bool
    healthy: bool
    reason: str
    signs: Signs


class WatchedSource(Protocol):
    """What is asked of a source (``edge.sources.base.Source``)."""

    live: bool
    simulated: bool

    @property
    def dropped(self) -> int:
        """Frames that a newer one overwrote."""
        ...

    @property
    def skipped(self) -> int:
        """Files that could not be decoded."""
        ...


class Vitals:
    """Reads the signs. ``attach`` tells of a new source; the counters of the one before are kept."""

    def __init__(self, clock: Clock, heartbeat: Heartbeat) -> None:
        self.starts = 0
        self.reloads = 0
        self.refused: str | None = None
        self.recoveries: dict[str, int] = {}
        self.slots = SlotCounts()
        self.pace = PaceSigns()
        self._clock = clock
        self._heartbeat = heartbeat
        self._base_dropped = self._base_skipped = self._base_frames = 0
        self._source: WatchedSource | None = None

    def attach(
        self,
        source: WatchedSource,
        camera: str,
        bundle: Callable[[], str],
        model: Callable[[], str],
        outbox: Callable[[], OutboxStatus | None] = lambda: None,
    ) -> None:
        """From now on ``source`` is the one. ``bundle`` says "name@hash" and ``model`` "name/candidate" whenever they are asked,
        ``outbox`` how that does."""
        self._outbox = outbox
        if self._source is not None:
            self._base_dropped += self._source.dropped
            self._base_skipped += self._source.skipped
        self._base_frames = self._heartbeat.frames
        self._opened_mono_ns = self._clock.mono_ns()
        self._camera, self._bundle, self._model = camera, bundle, model
        self._source = source

    def outbox_status(self) -> OutboxStatus | None:
        """None while a configuration is exchanged. Waits for a commit that is under way, so that health does not ask for it."""
        return self._outbox()

    def signs(self) -> Signs:
        """Now. ``attach`` must have been called."""
        source, beat = self._source, self._heartbeat
        assert source is not None  # the composition attaches before it serves
        now = self._clock.mono_ns()
        last, captured = beat.beat_mono_ns, beat.captured_mono_ns
        since = self._opened_mono_ns if last is None else max(last, self._opened_mono_ns)
        return Signs(
            camera=self._camera,
            bundle=self._bundle(),
            model=self._model(),
            real_camera=source.live and not source.simulated,
            frames=beat.frames,
            source_frames=beat.frames - self._base_frames,
            dropped=self._base_dropped + source.dropped,
            skipped=self._base_skipped + source.skipped,
            frame_age_s=None if captured is None else (now - captured) / 1e9,
            idle_s=(now - since) / 1e9,
            starts=self.starts,
            reloads=self.reloads,
            recoveries=dict(self.recoveries),
            slots_inferred=self.slots.inferred,
            slots_skipped=self.slots.skipped,
            rate=self.pace.state.share,
            rate_reason=self.pace.reason,
            held=self.pace.held,
            rate_downs=self.pace.down,
            rate_ups=self.pace.up,
            bundle_refused=self.refused,
        )


def judge_health(signs: Signs, unhealthy_after_s: float) -> Health:
    """What a monitor should make of the signs."""
    frames, idle = signs.source_frames, f"{signs.idle_s:.1f} s"
    if signs.idle_s > unhealthy_after_s:
        what = f"no frame went through for {idle}; the limit is {unhealthy_after_s:g} s"
        return Health(status="stalled", ready=False, healthy=False, reason=what, signs=signs)
    if not signs.real_camera:
        what = f"{frames} frames went through, but no camera stands behind this source"
        return Health(status="no camera", ready=False, healthy=True, reason=what, signs=signs)
    if not frames:
        return Health(
            status="starting", ready=False, healthy=True, reason=f"waiting for the first frame since {idle}", signs=signs
        )
    what = f"the last frame went through {idle} ago"
    if signs.rate_reason is not None:
        what += f"; at {signs.rate:g} of the full rate: {signs.rate_reason}"
    if signs.bundle_refused is not None:
        what += f"; the last good bundle runs: {signs.bundle_refused}"
    return Health(status="ok", ready=True, healthy=True, reason=what, signs=signs)


def count_start(path: Path) -> int:
    """One more start of this camera, kept at ``path``; what cannot be read counts from 1 again, what cannot be written is logged."""
    try:
        text = read_regular(path, _NUMBER_BYTES).strip()
        starts = int(text) + 1 if text.isdigit() else 1
    except OSError:
        starts = 1
    try:
        write_atomic(path, b"%d\n" % starts, follow=False)
    except SinkError as error:
        _LOG.warning("this start is not counted: %s", error)
    return starts
