"""Composition root: what one configuration decides is chosen, built and closed here, and nowhere else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge import exposure, models
from edge.bundle.reader import Bundle
from edge.choice.pick import Choice
from edge.choice.places import label
from edge.clock import Clock
from edge.config import (
    CameraConfig,
    DeviceConfig,
    MetricsConfig,
    SlotConfig,
    pictures_directory,
    state_directory,
)
from edge.data import Frame, ShelfEvent, Tick
from edge.errors import DataError, SinkError
from edge.events import EventFactory
from edge.fallback import First, Starter
from edge.loop import Parts
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.monitor.vitals import Health, OutboxStatus, SlotCounts, Vitals, judge_health
from edge.recogniser import Recogniser, RunningModel
from edge.secret import with_password
from edge.service.control import Control
from edge.service.requests import REBOOT, ask_restart
from edge.shelf.base import Pictures, Shelf, ViewHealth
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.sinks import build_sink, sink_key
from edge.sinks.base import Sink, SinkSite, Snapshot
from edge.sinks.committer import OutboxLimits
from edge.sinks.outbox import StoredOutbox
from edge.sources import open_source
from edge.sources.base import KnownShelf, KnowsItsShelf, Source, SourceLimits, Trust
from edge.sources.ladder import LadderStep
from edge.sources.recovering import Actions

if TYPE_CHECKING:
    from edge.board.pace import Pace, PaceSigns
    from edge.monitor.http import HttpEndpoint
    from edge.pictures.keeper import PictureKeeper
    from edge.shelf.layout import Watched

_LOG = logging.getLogger(__name__)


def open_camera(camera: CameraConfig, clock: Clock) -> Source:
    """The configured source, not yet opened: enter it.

    Raises:
        ConfigError: the source, its password file or its certificate file is not what it should be.
        InputMissingError: a path that does not exist.
        DataError: a file that is neither a picture nor a video.
    """
    uri = camera.source
    if camera.password_file is not None:
        uri = with_password(uri, Path(camera.password_file))
    limits = SourceLimits(
        frozen_ms=camera.frozen_ms,
        open_timeout_ms=camera.open_timeout_ms,
        read_timeout_ms=camera.read_timeout_ms,
        max_pixels=camera.max_megapixels * 1_000_000,
        trust=Trust(camera.ca_file, camera.insecure),
    )
    return open_source(uri, timeout_ms=camera.timeout_ms, limits=limits, clock=clock)


def open_recovering(config: DeviceConfig, clock: Clock, actions: Actions) -> Source:
    """The configured source; a real camera is opened again along the recovery ladder, if the site has one. Raises as ``open_camera``."""
    camera, rules = config.camera, config.recovery
    first = open_camera(camera, clock)
    if rules is None or not first.live or first.simulated:
        return first
    from edge.sources.ladder import Ladder, LadderRules
    from edge.sources.recovering import RecoveringSource

    ladder = Ladder(LadderRules(rules.reopens, rules.daemon, rules.reboot_after), state_directory(config) / "recovery.json")
    return RecoveringSource(
        lambda: open_camera(camera, clock),
        ladder,
        actions,
        stall_ms=rules.stall_ms,
        timeout_ms=camera.timeout_ms,
        open_bound_s=camera.open_timeout_ms / 1000,
        one_size=bool(config.slot),
        clock=clock,
    )


def known_shelf(source: Source) -> KnownShelf | None:
    """The shelf of a source that knows its own and was asked to tell."""
    return source.known_shelf() if isinstance(source, KnowsItsShelf) else None


def build_sinks(config: DeviceConfig, *, durable: bool) -> dict[str, Sink]:
    """The sinks of the config by the keys under which the outbox knows them from run to run; none is connected yet.

    Raises:
        ConfigError: a library, certificate or secret that one needs is not there.
        SinkError: a path cannot be written.
    """
    site = SinkSite(config.camera.name, durable)
    sinks: dict[str, Sink] = {}
    for one in config.sink:
        sink, key = build_sink(one, site), sink_key(one)
        sinks[key if key not in sinks else f"{key} #{len(sinks) + 1}"] = sink
    return sinks


def open_outbox(
    config: DeviceConfig, bundle: Bundle, *, live: bool, clock: Clock, watch: Callable[[ShelfEvent], None] | None
) -> StoredOutbox:
    """The camera's outbox, whose lock the caller holds; close it. Raises as ``build_sinks`` and ``StoredOutbox`` do."""
    limits = OutboxLimits(max_bytes=config.outbox.max_mb * 1_000_000, max_age_s=config.outbox.max_age_days * 86_400)
    return StoredOutbox(
        state_directory(config),
        build_sinks(config, durable=live),
        bundle=bundle.sha256,
        live=live,
        limits=limits,
        clock=clock,
        watch=watch,
    )


def open_pictures(config: DeviceConfig, *, first_number: int, live: bool, clock: Clock) -> PictureKeeper | None:
    """What stores pictures before and after events, if the site wants any; close it.

    Args:
        config: the site.
        first_number: the first event number that is free.
        live: as of the outbox.
        clock: dates them.

    Raises:
        SinkError: the directory cannot be read.
    """
    wanted = config.pictures
    if wanted is None:
        return None
    from edge.pictures.keeper import PictureKeeper, PictureLimits
    from edge.pictures.ring import Ring

    if wanted.dir is None and pictures_directory(config).is_symlink():
        raise SinkError(
            f"{pictures_directory(config)}: is a symbolic link, so it is not used", fix="[pictures] dir names another place"
        )
    max_bytes, max_age_s = wanted.max_mb * 1_000_000, wanted.max_age_days * 86_400
    directory, camera = pictures_directory(config), config.camera.name
    ring = Ring(directory, camera, max_bytes=max_bytes, max_age_s=max_age_s, clock=clock, first_number=first_number)
    return PictureKeeper(ring, PictureLimits(wanted.max_side_px, wanted.quality), live=live)


def build_pace(
    config: DeviceConfig, source: Source, told: Callable[[tuple[str, ...]], None], signs: PaceSigns, clock: Clock
) -> Pace | None:
    """What lowers the rate of a real camera while the board is hot: enter it. None for any other source, or if the site wants none."""
    from edge.board.boards import board_model
    from edge.board.cooling import CoolingState, rules_for
    from edge.board.pace import LONGEST_S, BoardWatch, Pace
    from edge.board.thermal import read_thermal

    if not config.thermal.enabled or not source.live or source.simulated:
        signs.state, signs.reason = CoolingState(), None
        return None
    longest_s = min(LONGEST_S, config.metrics.unhealthy_after_s / 2) if config.metrics is not None else LONGEST_S
    rules = rules_for(board_model(), config.thermal.limit_c)
    return Pace(rules, BoardWatch(read_thermal), told, signs, clock=clock, longest_s=longest_s)


def build_endpoint(config: MetricsConfig, vitals: Vitals, stopwatch: Stopwatch) -> HttpEndpoint:
    """The metrics and the health of a run, not yet served: enter it. Raises ConfigError without prometheus-client."""
    from edge.board.thermal import read_thermal
    from edge.monitor.http import HttpEndpoint
    from edge.monitor.metrics import Exposition

    def health() -> Health:
        return judge_health(vitals.signs(), config.unhealthy_after_s)

    return HttpEndpoint(
        config.listen, health, Exposition(health, stopwatch.histograms, read_thermal, vitals.outbox_status), config.hosts
    )


def build_shelf(
    config: DeviceConfig,
    bundle_sha256: Callable[[], str],
    known: Snapshot | None,
    ticks: Iterable[Tick],
    events: EventFactory,
    *,
    counts: SlotCounts,
    pictures: Pictures | None = None,
    known_shelf: KnownShelf | None = None,
) -> tuple[ViewHealth, Shelf, Iterable[Tick]]:
    """What watches the view and the slots, and the ticks from the first frame on: only it says how large frames are.

    Args:
        config: the site; without slots the whole frame is one, and each frame an observation.
        bundle_sha256: of the bundle that runs at the first frame: labels that another one gave are learned anew.
        known: what an earlier run committed.
        ticks: of the source.
        events: makes the events.
        counts: of slots inferred and skipped, counted up.
        pictures: what ``open_pictures`` opened.
        known_shelf: of the source; its slots are watched where the site names none.

    Raises:
        ConfigError: a slot or the reference does not fit the frames.
        DataError: a newer version stored what is known.
    """
    drawn = known_shelf if not config.slot else None
    if not config.slot and drawn is None:
        return Unchecked(), WholeFrame(events), ticks
    from edge.shelf import reference
    from edge.shelf.layout import watch
    from edge.shelf.slot import NewerStateError

    going = iter(ticks)
    first = next((tick for tick in going if isinstance(tick, Frame)), None)
    if first is None:
        return Unchecked(), WholeFrame(events), ()
    size_hw_px = first.pixels.shape[:2]
    if drawn is not None:
        slots = tuple(SlotConfig(name=name, box=box) for name, box in drawn.boxes_xyxy_px.items())
        empty: reference.Reference | None = reference.Reference(drawn.empty)
    else:
        slots, empty = config.slot, reference.load(state_directory(config), size_hw_px)
    if empty is None:
        _LOG.warning("no reference of the empty shelf: slots are not known to be empty; %s", reference.FIX)
    watched = watch(slots, config.shelf, size_hw_px, empty, events, counts=counts, pictures=pictures)
    if pictures is not None:
        _warn_without_pictures(watched)
    if known is not None and drawn is None:  # a drawn shelf begins anew: what an earlier run saw of it is not there
        try:
            watched.shelf.restore(known.body, same_model=known.bundle == bundle_sha256())
        except NewerStateError:
            raise
        except DataError as error:
            _LOG.warning("%s; the slots learn anew", error)
    return watched.view, watched.shelf, chain([first], going)


def _warn_without_pictures(watched: Watched) -> None:
    """Of what no picture will be taken, because nobody could say that no person is in it."""
    if isinstance(watched.view, Unchecked):
        _LOG.warning("no pictures are taken, for the view is not checked: somebody could be in them")
        return
    hidden = [slot.name for slot in watched.shelf.slots if not slot.ring.any()]
    if hidden:
        _LOG.warning("no pictures are taken of %s: nothing around them shows whether somebody is in front", ", ".join(hidden))


@dataclass(frozen=True, slots=True)
class Process:
    """What lives as long as the process, from one site to the next."""

    clock: Clock
    stopwatch: Stopwatch
    heartbeat: Heartbeat
    control: Control
    vitals: Vitals
    watch: Callable[[ShelfEvent], None] | None
    starter: Starter


class Site:
    """What one configuration decides, built from it and closed with it: the model, the source, the sinks. Raises ShelfcamError."""

    def __init__(self, config: DeviceConfig, process: Process, *, last_good: bool) -> None:
        self.config = config
        self._clock = clock = process.clock
        self._closing, self._closed = threading.Lock(), False
        exposure.warn(config)
        self._shelf: Shelf | None = None
        with ExitStack() as stack:
            first = process.starter.start(config, last_good=last_good)
            stack.callback(first.close)
            self.refused = None if first.refused is None else str(first.refused)
            self.source = open_recovering(config, clock, self._recovery(process))
            self.outbox = stack.enter_context(
                closing(open_outbox(config, first.bundle, live=self.source.live, clock=clock, watch=process.watch))
            )
            self.events = EventFactory(config.camera.name, _name_of(first.bundle), first.name, self.outbox.counter)
            self.outbox.tell_by(self._status)
            self.pictures = open_pictures(config, first_number=self.outbox.first_number, live=self.source.live, clock=clock)
            if self.pictures is not None:
                stack.enter_context(closing(self.pictures))
            self.recogniser = Recogniser(first, self.source.live, self._moved, process.stopwatch.lap)
            stack.callback(self.recogniser.close)
            self.events.model = self.recogniser.name
            process.control.attach(self.source)  # before it is opened, which may take its time
            self._pace = build_pace(config, self.source, lambda flags: self.say("thermal", *flags), process.vitals.pace, clock)
            if self._pace is not None:
                stack.enter_context(self._pace)
            stack.enter_context(self.source)  # last: what is wrong with a camera can already be told
            self._counts, self._heartbeat, self._stopwatch = process.vitals.slots, process.heartbeat, process.stopwatch
            self._stack = stack.pop_all()

    def parts(self, ticks: Iterable[Tick]) -> tuple[Iterable[Tick], Parts]:
        """What the loop runs on, and the ticks from the first frame on. Raises as ``build_shelf``."""
        view, shelf, going = build_shelf(
            self.config,
            lambda: self.recogniser.bundle.sha256,
            self.outbox.last_snapshot(),
            ticks,
            self.events,
            counts=self._counts,
            pictures=self.pictures,
            known_shelf=known_shelf(self.source),
        )
        self._shelf = shelf
        return going, Parts(view, shelf, self.recogniser, self.outbox, self._heartbeat, self._stopwatch)

    def differs_in_its_model(self, config: DeviceConfig) -> bool:
        """Whether ``config`` is this one with another model, or with other content in its bundle's place. Raises ShelfcamError if
        there is no such bundle."""
        if msgspec.structs.replace(config, model=self.config.model) != self.config:
            return False
        return config != self.config or models.find_bundle(config).sha256 != self.recogniser.bundle.sha256

    def swap(self, prepared: First) -> None:
        """Between two ticks: another model answers from the next one on; camera, outbox and counters stay open. Slots keep what they
        hold; what another bundle calls it is learned anew, silently.

        Raises:
            ShelfcamError: the site insists on a provider that cannot be had for it; then nothing has changed.
        """
        before = self.recogniser.bundle.sha256
        self.recogniser.swap(prepared)
        self.config, self.refused = prepared.config, None
        self.events.bundle, self.events.model = self.bundle_name(), self.recogniser.name
        if self.recogniser.bundle.sha256 != before:
            self.outbox.use_bundle(self.recogniser.bundle.sha256)
            if self._shelf is not None:
                self._shelf.relearn()

    def bundle_name(self) -> str:
        """ "name@hash"; may be asked from any thread."""
        return _name_of(self.recogniser.bundle)

    def ticks(self) -> Iterable[Tick]:
        """Of the source; fewer frames while the board is hot."""
        return self.source if self._pace is None else self._pace.ticks(self.source)

    def model_now(self) -> str:
        """ "name/candidate"; may be asked from any thread."""
        return self.events.model

    def say(self, type_: str, *flags: str) -> None:
        """Commit a status event."""
        self.outbox.commit([self._status(type_, flags)], None)

    def say_running(self, type_: str) -> None:
        """Say what runs and why; and if it is not the configured bundle, why not."""
        self.say(type_, self.recogniser.candidates, self.recogniser.reason)
        self.say_refused()

    def say_refused(self) -> None:
        """If it is not the configured bundle that runs, which does and why."""
        if self.refused is not None:
            self.say("bundle_refused", f"runs={self.bundle_name()}", f"reason={self.refused}")

    def _status(self, type_: str, flags: tuple[str, ...]) -> ShelfEvent:
        return self.events.status(type_, self._clock.utc(), flags, simulated=self.source.simulated)

    def outbox_status(self) -> OutboxStatus | None:
        """None once it is closed; may be asked from any thread."""
        with self._closing:
            return None if self._closed else self.outbox.status()

    def close(self) -> None:
        """Give everything back, the newest first; a second time does nothing."""
        with self._closing:
            self._closed = True
        self._stack.close()

    def _recovery(self, process: Process) -> Actions:
        def told(step: LadderStep, reason: str) -> None:
            taken = process.vitals.recoveries
            taken[step.rung] = taken.get(step.rung, 0) + 1
            self.say("recovery", step.rung, f"step={step.number}", f"wait_s={step.wait_s:.1f}", f"reason={reason}")

        return Actions(
            told=told,
            recovered=lambda steps: self.say("recovered", f"steps={steps}"),
            extend=process.heartbeat.extend,
            ask_daemon=ask_restart,
            ask_reboot=lambda: ask_restart(REBOOT),
        )

    def _moved(self, model: RunningModel, choice: Choice, idle: bool) -> None:
        self.events.model = self.recogniser.name
        model.reason = choice.reason if idle else f"{choice.reason}; measured on a busy machine, so not remembered"
        if idle:
            models.remember_choice(self.config, model.loader.key, choice)
        self.say("candidate", label(choice.candidate, choice.place), model.reason)


def _name_of(bundle: Bundle) -> str:
    return f"{bundle.manifest.name}@{bundle.sha256[:12]}"
