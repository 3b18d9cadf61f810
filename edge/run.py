"""A camera from its first tick to its last: one configuration, then perhaps another, then the report."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

import cv2
import msgspec

from edge import app, exposure, loop, models
from edge.choice.loader import PROBE_NICENESS
from edge.choice.measure import CancelledError
from edge.choice.pick import Choice
from edge.choice.places import label
from edge.choice.trial import Trials
from edge.clock import Clock
from edge.config import DeviceConfig, state_directory
from edge.data import Frame, ShelfEvent, Tick
from edge.errors import DataError, ExitCode
from edge.events import EventFactory, camera_lock
from edge.fallback import Starter
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import StageStats, Stopwatch
from edge.monitor.vitals import OutboxStatus, Signs, Vitals, count_start
from edge.service.control import Control, reload_on_hangup, stop_on_signals
from edge.service.process import limited_memory, settle
from edge.service.reload import Reading, Running, TicksUntilChange, refuse_fixed
from edge.service.requests import REBOOT, ask_restart
from edge.sources import show_source
from edge.sources.ladder import Step
from edge.sources.recovering import Actions
from edge.stages.model import ModelStage

AFTER_TRIAL_S = 60.0
"""Beside a trial's own time, for what follows it at a start: the model is loaded and the camera opened."""

_LOG = logging.getLogger(__name__)


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. ``seconds`` and ``fps`` count from the first tick to the last; ``stages`` in milliseconds."""

    bundle: str
    model: str
    candidate: str
    reason: str
    provider: str
    threads: int
    source: str
    simulated: bool
    frames: int
    dropped: int
    skipped: int
    seconds: float
    fps: float
    stages: dict[str, StageStats]


def run(
    config: DeviceConfig,
    *,
    frames: int | None,
    watch: Callable[[ShelfEvent], None] | None = None,
    reload: Callable[[], DeviceConfig] | None = None,
    last_good: bool = False,
) -> RunReport:
    """Run the camera loop until its source ends, ``frames`` frames went through, or SIGTERM or SIGINT.

    Args:
        config: the site.
        frames: stop after so many frames; None: no limit.
        watch: called with every event after it was committed, to show it.
        reload: reads the configuration again on SIGHUP, and raises ShelfcamError if it cannot be used; None: SIGHUP is not handled.
        last_good: whether the last good bundle runs where the configured one fails; else that is an error.

    Raises:
        ShelfcamError: by whoever has to act; everything committed before it is flushed.
    """
    settle(config.model.affinity, config.model.nice)
    cv2.setNumThreads(1)  # the resize is a fraction of a millisecond; a second pool would only disturb the runtime's
    clock, stopwatch, control = Clock(), Stopwatch(), Control()
    heartbeat = Heartbeat(clock)
    vitals = Vitals(clock, heartbeat)
    with ExitStack() as stack:
        stack.enter_context(limited_memory())
        stack.enter_context(camera_lock(state_directory(config)))
        stack.enter_context(stop_on_signals(control.stop))
        if reload is not None:
            stack.enter_context(reload_on_hangup(control.reload))
        trials = replace(
            models.trials_of(config),
            announce=lambda seconds: heartbeat.extend(seconds + AFTER_TRIAL_S),
            stopped=lambda: control.stopping,
        )
        starter = stack.enter_context(Starter(config, trials, last_good=last_good))
        hands = Hands(clock, heartbeat, control, vitals, watch, starter)
        try:
            running = stack.enter_context(closing(Running(config, lambda wanted, other: Site(wanted, hands, last_good=other))))
        except CancelledError:
            raise SystemExit(int(ExitCode.OK)) from None  # told to stop while a bundle was tried: nothing had begun
        _attach(running.site, vitals)
        if config.metrics is not None:
            vitals.starts = count_start(state_directory(config) / "starts")
            stack.enter_context(app.build_face(config.metrics, vitals, stopwatch))
        running.site.say_running("started")
        reading = Reading(lambda: _read_again(reload, running.site.config, trials), running.refuse)
        stack.enter_context(closing(reading))

        start = time.perf_counter()
        try:
            while True:
                site = running.site
                left = None if frames is None else frames - heartbeat.frames
                ticks = TicksUntilChange(_first_frames(site.ticks(), left), lambda: reading.poll(control.take_reload))
                view, shelf, going = app.build_shelf(
                    site.config,
                    site.loader.bundle.sha256,
                    site.outbox.last_snapshot(),
                    ticks,
                    site.events,
                    counts=vitals.slots,
                    pictures=site.pictures,
                    known_shelf=app.known_shelf(site.source),
                )
                loop.run(
                    going, loop.Parts(view, shelf, ModelStage(site.models, stopwatch.lap), site.outbox, heartbeat, stopwatch)
                )
                if ticks.changed is None:
                    break
                if running.change(ticks.changed):
                    vitals.reloads += 1
                    gc.collect()  # a closed site is a ring of objects of some megabytes, which the collector may leave for hours
                    running.site.say_running("reloaded")
                else:
                    running.site.say_refused()
                _attach(running.site, vitals)
        finally:
            heartbeat.stopping()
            control.stop()  # a bundle that is being tried for a reload is not wanted any more
        return _finish(running.site, vitals.signs(), stopwatch, time.perf_counter() - start)


def _read_again(reload: Callable[[], DeviceConfig] | None, old: DeviceConfig, trials: Trials) -> DeviceConfig:
    """What ``reload`` reads, whose bundle then has passed its trial. Raises ShelfcamError, CancelledError."""
    assert reload is not None  # SIGHUP is not handled without
    wanted = reload()
    refuse_fixed(old, wanted)
    models.admit_first(wanted, trials.beside_a_loop(PROBE_NICENESS))
    return wanted


def _attach(site: Site, vitals: Vitals) -> None:
    """Tell those who look at the source that there is a new one."""
    vitals.refused = site.refused
    vitals.attach(site.source, site.config.camera.name, site.bundle_name, site.model_now, site.outbox_status)


def _finish(site: Site, signs: Signs, stopwatch: Stopwatch, seconds: float) -> RunReport:
    """The last status event and the report. Raises DataError if nothing at all could be decoded."""
    site.say("stopped", f"frames={signs.frames}", f"dropped={signs.dropped}", f"skipped={signs.skipped}")
    if signs.frames == 0 and signs.skipped:
        raise DataError(f"{show_source(site.config.camera.source)}: none of its {signs.skipped} files could be decoded")
    return RunReport(
        bundle=site.loader.bundle.manifest.name,
        model=site.loader.model.name,
        candidate=site.candidate,
        reason=site.reason if site.refused is None else f"{site.reason}; of the last good bundle, because {site.refused}",
        provider=site.models.current().backend.info.provider,
        threads=site.loader.threads,
        source=show_source(site.config.camera.source),
        simulated=site.source.simulated,
        frames=signs.frames,
        dropped=signs.dropped,
        skipped=signs.skipped,
        seconds=seconds,
        fps=signs.frames / seconds,
        stages=stopwatch.report(),
    )


@dataclass(frozen=True, slots=True)
class Hands:
    """What goes on from one site to the next."""

    clock: Clock
    heartbeat: Heartbeat
    control: Control
    vitals: Vitals
    watch: Callable[[ShelfEvent], None] | None
    starter: Starter


class Site:
    """What one configuration decides, built from it and closed with it: the model, the source, the sinks. Raises ShelfcamError."""

    def __init__(self, config: DeviceConfig, hands: Hands, *, last_good: bool) -> None:
        self.config = config
        self._clock = clock = hands.clock
        self._closing, self._closed = threading.Lock(), False
        exposure.warn(config)
        with ExitStack() as stack:
            first = hands.starter.start(config, last_good=last_good)
            stack.callback(first.active.backend.close)
            self.refused = None if first.refused is None else str(first.refused)
            self.loader, bundle, model = first.loader, first.loader.bundle, first.loader.model
            self.bundle_name = f"{bundle.manifest.name}@{bundle.sha256[:12]}"
            self.source = app.open_recovering(config, clock, self._recovery(hands))
            self.outbox = stack.enter_context(
                closing(app.open_outbox(config, bundle, live=self.source.live, clock=clock, watch=hands.watch))
            )
            self.events = EventFactory(config.camera.name, self.bundle_name, model.name, self.outbox.counter)
            self.outbox.tell_by(self._status)
            self.pictures = app.open_pictures(config, first_number=self.outbox.first_number, live=self.source.live, clock=clock)
            if self.pictures is not None:
                stack.enter_context(closing(self.pictures))
            self.models, self.reason = models.build_models(self.loader, (first.active, first.reason), self.source, self._moved)
            stack.enter_context(closing(self.models))
            self.events.model = f"{model.name}/{self.candidate}"
            hands.control.attach(self.source)  # before it is opened, which may take its time
            self._pace = app.build_pace(
                config, self.source, lambda flags: self.say("thermal", *flags), hands.vitals.pace, clock
            )
            if self._pace is not None:
                stack.enter_context(self._pace)
            stack.enter_context(self.source)  # last: what is wrong with a camera can already be told
            self._stack = stack.pop_all()

    @property
    def candidate(self) -> str:
        """The one that answers now."""
        return self.models.current().candidate

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
        self.say(type_, self.candidate, self.reason)
        self.say_refused()

    def say_refused(self) -> None:
        """If it is not the configured bundle that runs, which does and why."""
        if self.refused is not None:
            self.say("bundle_refused", f"runs={self.bundle_name}", f"reason={self.refused}")

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

    def _recovery(self, hands: Hands) -> Actions:
        def told(step: Step, reason: str) -> None:
            taken = hands.vitals.recoveries
            taken[step.rung] = taken.get(step.rung, 0) + 1
            self.say("recovery", step.rung, f"step={step.number}", f"wait_s={step.wait_s:.1f}", f"reason={reason}")

        return Actions(
            told=told,
            recovered=lambda steps: self.say("recovered", f"steps={steps}"),
            extend=hands.heartbeat.extend,
            ask_daemon=ask_restart,
            ask_reboot=lambda: ask_restart(REBOOT),
        )

    def _moved(self, choice: Choice, idle: bool) -> None:
        self.events.model = f"{self.loader.model.name}/{choice.candidate}"
        self.reason = choice.reason if idle else f"{choice.reason}; measured on a busy machine, so not remembered"
        if idle:
            models.remember_choice(self.config, self.loader.key, choice)
        self.say("candidate", label(choice.candidate, choice.place), self.reason)


def _first_frames(ticks: Iterable[Tick], limit: int | None) -> Iterable[Tick]:
    """``ticks`` up to the ``limit``-th frame; unreadable files are reported on the way."""
    count = 0
    for tick in ticks:
        if not isinstance(tick, Frame):
            _LOG.warning("no frame (%s): %s", tick.reason.value, tick.detail)
        yield tick
        count += isinstance(tick, Frame)
        if limit is not None and count >= limit:
            return
