"""A camera from its first tick to its last: one configuration, then perhaps another, then the report."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import replace

import cv2
import msgspec

from edge import loop, models
from edge.choice.loader import PROBE_NICENESS
from edge.choice.measure import CancelledError
from edge.choice.trial import Trials
from edge.clock import Clock
from edge.config import DeviceConfig, state_directory
from edge.data import Frame, NoFrameReason, ShelfEvent, Tick
from edge.errors import DataError, ExitCode, ShelfcamError
from edge.events import camera_lock
from edge.fallback import First, Starter
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import StageStats, Stopwatch
from edge.monitor.vitals import Signs, Vitals, count_start
from edge.service.control import Control, reload_on_hangup, stop_on_signals
from edge.service.process import limited_memory, settle
from edge.service.reload import Reading, Running, TicksUntilChange, refuse_fixed
from edge.site import Process, Site, build_endpoint
from edge.sources import show_source

AFTER_TRIAL_S = 60.0
"""Beside a trial's own time, for what follows it at a start: the model is loaded and the camera opened."""

_LOG = logging.getLogger(__name__)

_SAY_AGAIN_NS = 60_000_000_000


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. ``seconds`` and ``fps`` count from the first tick to the last; ``stages`` in milliseconds.
    ``model``, ``candidate``: of a pipeline several, joined by " + "; ``name``: "model/candidate" of each, joined likewise."""

    bundle: str
    model: str
    candidate: str
    name: str
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
        trials = _trials(config, heartbeat, control)
        starter = stack.enter_context(Starter(config, trials, last_good=last_good))
        process = Process(clock, stopwatch, heartbeat, control, vitals, watch, starter)
        try:
            running = stack.enter_context(
                closing(Running(config, lambda wanted, other: Site(wanted, process, last_good=other)))
            )
        except CancelledError:
            raise SystemExit(int(ExitCode.OK)) from None  # told to stop while a bundle was tried: nothing had begun
        _attach(running.site, vitals)
        if config.metrics is not None:
            vitals.starts = count_start(state_directory(config) / "starts")
            stack.enter_context(build_endpoint(config.metrics, vitals, stopwatch))
        running.site.say_running("started")
        reading = Reading(lambda: _read_again(reload, running.site, trials, starter), running.refuse, _discard)
        stack.enter_context(closing(reading))

        start = time.perf_counter()
        try:
            while True:
                left = None if frames is None else frames - heartbeat.frames
                ticks = TicksUntilChange(
                    first_frames(running.site.ticks(), left),
                    lambda: _changed(reading.poll(control.take_reload), running, vitals),
                )
                loop.run(*running.site.parts(ticks))
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


def _trials(config: DeviceConfig, heartbeat: Heartbeat, control: Control) -> Trials:
    """The watchdog waits for one that runs; a stop ends it."""
    return replace(
        models.trials_of(config),
        announce=lambda seconds: heartbeat.extend(seconds + AFTER_TRIAL_S),
        stopped=lambda: control.stopping,
    )


def _read_again(
    reload: Callable[[], DeviceConfig] | None, site: Site, trials: Trials, starter: Starter
) -> DeviceConfig | First:
    """What ``reload`` reads, whose bundle then has passed its trial; if only the model is another, that, loaded and judged. Raises
    ShelfcamError, CancelledError."""
    assert reload is not None  # SIGHUP is not handled without
    wanted = reload()
    refuse_fixed(site.config, wanted)
    beside = trials.beside_a_loop(PROBE_NICENESS)
    if site.differs_in_its_model(wanted):
        return starter.prepare(wanted, beside)
    models.admit_first(wanted, beside)
    return wanted


def _discard(new: DeviceConfig | First) -> None:
    """A newer configuration, or the end, came before it could be taken."""
    if isinstance(new, First):
        new.close()


def _changed(new: DeviceConfig | First | None, running: Running[Site], vitals: Vitals) -> DeviceConfig | None:
    """Between two ticks: another model alone is taken over at once; what is left is a configuration that needs another site."""
    if not isinstance(new, First):
        return new
    try:
        running.site.swap(new)
    except ShelfcamError as error:
        running.refuse(error)
        return None
    vitals.reloads, vitals.refused = vitals.reloads + 1, None
    running.site.say_running("reloaded")
    return None


def _attach(site: Site, vitals: Vitals) -> None:
    """Tell those who look at the source that there is a new one."""
    vitals.refused = site.refused
    vitals.attach(site.source, site.config.camera.name, site.bundle_name, site.model_now, site.outbox_status)


def _finish(site: Site, signs: Signs, stopwatch: Stopwatch, seconds: float) -> RunReport:
    """The last status event and the report. Raises DataError if nothing at all could be decoded."""
    site.say("stopped", f"frames={signs.frames}", f"dropped={signs.dropped}", f"skipped={signs.skipped}")
    if signs.frames == 0 and signs.skipped:
        raise DataError(f"{show_source(site.config.camera.source)}: none of its {signs.skipped} files could be decoded")
    running, reason = site.recogniser.running, site.recogniser.reason
    return RunReport(
        bundle=site.recogniser.bundle.manifest.name,
        model=" + ".join(one.loader.model.name for one in running),
        candidate=site.recogniser.candidates,
        name=site.recogniser.name,
        reason=reason if site.refused is None else f"{reason}; of the last good bundle, because {site.refused}",
        provider=" + ".join(dict.fromkeys(one.models.current().backend.info.provider for one in running)),
        threads=running[0].loader.threads,
        source=show_source(site.config.camera.source),
        simulated=site.source.simulated,
        frames=signs.frames,
        dropped=signs.dropped,
        skipped=signs.skipped,
        seconds=seconds,
        fps=signs.frames / seconds,
        stages=stopwatch.report(),
    )


def first_frames(ticks: Iterable[Tick], limit: int | None) -> Iterable[Tick]:
    """``ticks`` up to the ``limit``-th frame. Logged on the way: each unreadable file; of a camera without frames the first tick, and one a
    minute after that."""
    count, said, said_ns = 0, None, 0
    for tick in ticks:
        if isinstance(tick, Frame):
            said = None
        elif tick.reason is NoFrameReason.CORRUPT or tick.reason is not said or tick.mono_ns - said_ns >= _SAY_AGAIN_NS:
            said, said_ns = tick.reason, tick.mono_ns
            _LOG.warning("no frame (%s): %s", tick.reason.value, tick.detail)
        yield tick
        count += isinstance(tick, Frame)
        if limit is not None and count >= limit:
            return
