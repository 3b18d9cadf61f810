"""Composition root: the only file that chooses implementations."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import msgspec

from edge import loop
from edge.bundle.manifest import Candidate, Model
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.machine import machine_key
from edge.choice.models import ChoosingModels, FixedModel, ModelLoader
from edge.choice.pick import Choice
from edge.choice.store import ChoiceStore
from edge.clock import Clock
from edge.config import AUTO, CameraConfig, DeviceConfig, MetricsConfig, state_directory, thread_count
from edge.data import Frame, ShelfEvent, Tick
from edge.errors import ConfigError, DataError, SinkError
from edge.service.control import Control, reload_on_hangup, stop_on_signals
from edge.service.events import EventFactory, camera_lock
from edge.service.heartbeat import Heartbeat
from edge.service.reload import Running, TicksUntilChange
from edge.service.stopwatch import StageStats, Stopwatch
from edge.service.vitals import Health, Signs, Vitals, count_start, judge_health
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.sinks import build_sink, sink_key
from edge.sinks.base import Sink, SinkSite
from edge.sinks.committer import OutboxLimits
from edge.sinks.outbox import StoredOutbox
from edge.sources import open_source, redact
from edge.sources.base import Limits, Source
from edge.sources.credentials import with_password

if TYPE_CHECKING:
    from edge.service.face import Face

_LOG = logging.getLogger(__name__)

_BUILTIN = "builtin:"
BUILTIN_BUNDLES = ("grocery", "imagenet")
DEFAULT_BUNDLE = _BUILTIN + "grocery"


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. ``seconds`` and ``fps`` count from the first tick to the last; ``stages`` in milliseconds."""

    bundle: str
    model: str
    candidate: str
    reason: str
    threads: int
    source: str
    simulated: bool
    frames: int
    dropped: int
    skipped: int
    seconds: float
    fps: float
    stages: dict[str, StageStats]


def find_bundle(config: DeviceConfig) -> Bundle:
    """The configured bundle, or the default one inside the package."""
    return open_bundle(bundle_directory(config.model.bundle or DEFAULT_BUNDLE))


def bundle_directory(text: str) -> Path:
    """``text`` as a path; or, written ``builtin:NAME``, a bundle that ships inside the package.

    Raises:
        ConfigError: no such bundle inside the package.
    """
    name = text.removeprefix(_BUILTIN)
    if name == text:
        return Path(text)
    if name not in BUILTIN_BUNDLES:
        known = " or ".join(_BUILTIN + bundle for bundle in BUILTIN_BUNDLES)
        raise ConfigError(f"no bundle {text!r} inside the package", fix=f"{known}, or a directory")
    return Path(str(resources.files("edge") / "assets" / name))


def find_model(bundle: Bundle, name: str | None) -> Model:
    """The model of that name; without a name the only one. Raises ConfigError listing what there is."""
    models = bundle.manifest.models
    names = ", ".join(m.name for m in models)
    if name is None and len(models) == 1:
        return models[0]
    chosen = next((m for m in models if m.name == name), None)
    if chosen is None:
        what = "holds several models" if name is None else f"has no model {name!r}"
        raise ConfigError(f"{bundle.directory}: {what}", fix=f"name one of: {names}")
    return chosen


def find_candidate(model: Model, name: str) -> Candidate:
    """The candidate of that name. Raises ConfigError listing what there is."""
    candidate = model.candidate(name)
    if candidate is None:
        names = ", ".join([AUTO, *(c.name for c in model.candidates)])
        raise ConfigError(f"model {model.name!r} has no candidate {name!r}", fix=f"name one of: {names}")
    return candidate


def choice_store(config: DeviceConfig) -> ChoiceStore:
    """Where this camera's choices are remembered."""
    return ChoiceStore(state_directory(config) / "choices.json")


def open_camera(camera: CameraConfig, clock: Clock) -> Source:
    """The configured source, not yet opened: enter it.

    Raises:
        ConfigError: the source or its password file is not what it should be.
        InputMissingError: a path that does not exist.
        DataError: a file that is neither a picture nor a video.
    """
    uri = camera.source
    if camera.password_file is not None:
        uri = with_password(uri, Path(camera.password_file))
    limits = Limits(frozen_ms=camera.frozen_ms, open_timeout_ms=camera.open_timeout_ms, read_timeout_ms=camera.read_timeout_ms)
    return open_source(uri, timeout_ms=camera.timeout_ms, limits=limits, clock=clock)


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


def build_face(config: MetricsConfig, vitals: Vitals, stopwatch: Stopwatch) -> Face:
    """The metrics and the health of a run, not yet served: enter it. Raises ConfigError without prometheus-client."""
    from edge.service.face import Face
    from edge.service.metrics import Exposition
    from edge.service.thermal import read_thermal

    def health() -> Health:
        return judge_health(vitals.signs(), config.unhealthy_after_s)

    return Face(config.listen, health, Exposition(health, stopwatch.histograms, read_thermal))


def run(
    config: DeviceConfig,
    *,
    frames: int | None,
    watch: Callable[[ShelfEvent], None] | None = None,
    reload: Callable[[], DeviceConfig] | None = None,
) -> RunReport:
    """Run the camera loop until its source ends, ``frames`` frames went through, or SIGTERM or SIGINT.

    Args:
        config: the site.
        frames: stop after so many frames; None: no limit.
        watch: called with every event after it was committed, to show it.
        reload: reads the configuration again on SIGHUP, and raises ShelfcamError if it cannot be used; None: SIGHUP is not handled.

    Raises:
        ShelfcamError: by whoever has to act; everything committed before it is flushed.
    """
    cv2.setNumThreads(1)  # the resize is a fraction of a millisecond; a second pool would only disturb the runtime's
    clock, stopwatch, control = Clock(), Stopwatch(), Control()
    heartbeat = Heartbeat(clock)
    vitals = Vitals(clock, heartbeat)
    with ExitStack() as stack:
        stack.enter_context(camera_lock(state_directory(config)))
        running = stack.enter_context(closing(Running(config, lambda wanted: _Site(wanted, clock, watch))))
        _attach(running.site, vitals, control)
        stack.enter_context(stop_on_signals(control.stop))
        if reload is not None:
            stack.enter_context(reload_on_hangup(control.reload))
        if config.metrics is not None:
            vitals.starts = count_start(state_directory(config) / "starts")
            stack.enter_context(build_face(config.metrics, vitals, stopwatch))
        running.site.say("started", running.site.candidate, running.site.reason)

        def asked() -> DeviceConfig | None:
            return running.read_again(reload) if reload is not None and control.take_reload() else None

        start = time.perf_counter()
        try:
            while True:
                site = running.site
                left = None if frames is None else frames - heartbeat.frames
                ticks = TicksUntilChange(_first_frames(site.source, left), asked)
                parts = loop.Parts(Unchecked(), WholeFrame(site.events), site.models, site.outbox, heartbeat, stopwatch)
                loop.run(ticks, parts)
                if ticks.changed is None:
                    break
                if running.change(ticks.changed):
                    vitals.reloads += 1
                    running.site.say("reloaded", running.site.candidate, running.site.reason)
                _attach(running.site, vitals, control)
        finally:
            heartbeat.stopping()
        return _finish(running.site, vitals.signs(), stopwatch, time.perf_counter() - start)


def _attach(site: _Site, vitals: Vitals, control: Control) -> None:
    """Tell those who look at the source, or stop it, that there is a new one."""
    vitals.attach(site.source, site.config.camera.name, site.bundle_name, site.model_now)
    control.attach(site.source)


def _finish(site: _Site, signs: Signs, stopwatch: Stopwatch, seconds: float) -> RunReport:
    """The last status event and the report. Raises DataError if nothing at all could be decoded."""
    site.say("stopped", f"frames={signs.frames}", f"dropped={signs.dropped}", f"skipped={signs.skipped}")
    if signs.frames == 0 and signs.skipped:
        raise DataError(f"{redact(site.config.camera.source)}: none of its {signs.skipped} files could be decoded")
    return RunReport(
        bundle=site.loader.bundle.manifest.name,
        model=site.loader.model.name,
        candidate=site.candidate,
        reason=site.reason,
        threads=site.loader.threads,
        source=redact(site.config.camera.source),
        simulated=site.source.simulated,
        frames=signs.frames,
        dropped=signs.dropped,
        skipped=signs.skipped,
        seconds=seconds,
        fps=signs.frames / seconds,
        stages=stopwatch.report(),
    )


class _Site:
    """What one configuration decides, built from it and closed with it: the model, the source, the sinks. Raises ShelfcamError."""

    def __init__(self, config: DeviceConfig, clock: Clock, watch: Callable[[ShelfEvent], None] | None) -> None:
        self.config = config
        self._clock = clock
        bundle = find_bundle(config)
        model = find_model(bundle, config.model.name)
        self.bundle_name = f"{bundle.manifest.name}@{bundle.sha256[:12]}"
        self.loader = ModelLoader(bundle, model, threads=thread_count(config.model.threads), top_k=config.model.top_k)
        with ExitStack() as stack:
            self.source = stack.enter_context(open_camera(config.camera, clock))
            self.outbox = stack.enter_context(
                closing(open_outbox(config, bundle, live=self.source.live, clock=clock, watch=watch))
            )
            self.events = EventFactory(config.camera.name, self.bundle_name, model.name, self.outbox.counter)
            self.outbox.tell_by(self._status)
            self.models, self.reason = _build_models(config, self.loader, self.source, self._moved)
            stack.enter_context(closing(self.models))
            self.events.model = f"{model.name}/{self.candidate}"
            self._stack = stack.pop_all()

    @property
    def candidate(self) -> str:
        """The one that answers now."""
        return self.models.current().candidate

    def model_now(self) -> str:
        """ "name/candidate"; may be asked from any thread."""
        return self.events.model

    def say(self, type_: str, *flags: str) -> None:
        """Commit a status event."""
        self.outbox.commit([self._status(type_, flags)], None)

    def _status(self, type_: str, flags: tuple[str, ...]) -> ShelfEvent:
        return self.events.status(type_, self._clock.utc(), flags, simulated=self.source.simulated)

    def close(self) -> None:
        """Give everything back, the newest first; a second time does nothing."""
        self._stack.close()

    def _moved(self, choice: Choice, idle: bool) -> None:
        self.events.model = f"{self.loader.model.name}/{choice.candidate}"
        self.reason = choice.reason if idle else f"{choice.reason}; measured on a busy machine, so not remembered"
        if idle:
            _remember(self.config, machine_key(self.loader.bundle.sha256, self.loader.model.name, self.loader.threads), choice)
        self.say("candidate", choice.candidate, self.reason)


def load_model(config: DeviceConfig) -> loop.ActiveModel:
    """The one candidate that a finite job uses from start to end: the named one, the remembered choice, or the safe one."""
    bundle = find_bundle(config)
    model = find_model(bundle, config.model.name)
    loader = ModelLoader(bundle, model, threads=thread_count(config.model.threads), top_k=config.model.top_k)
    return _first_model(config, loader)[0]


def _first_model(config: DeviceConfig, loader: ModelLoader) -> tuple[loop.ActiveModel, str | None]:
    """The candidate to start with, and why; no reason means: the safe one, because nothing is known yet."""
    if config.model.candidate != AUTO:
        return loader.load(find_candidate(loader.model, config.model.candidate)), "named by the user"
    known = choice_store(config).recall(machine_key(loader.bundle.sha256, loader.model.name, loader.threads))
    if known is not None:
        return loader.load(find_candidate(loader.model, known.candidate)), f"remembered: {known.reason}"
    return loader.load_safe(), None


def _remember(config: DeviceConfig, key: str, choice: Choice) -> None:
    """A full disk costs a new measurement at the next start, not the service."""
    try:
        choice_store(config).remember(key, choice)
    except SinkError as error:
        _LOG.warning("the choice is not remembered: %s", error)


def _build_models(
    config: DeviceConfig, loader: ModelLoader, source: Source, moved: Callable[[Choice, bool], None]
) -> tuple[FixedModel | ChoosingModels, str]:
    """The models of a run and why this candidate is the first."""
    active, reason = _first_model(config, loader)
    if reason is not None:
        return FixedModel(active), reason
    if len(loader.model.candidates) == 1:
        return FixedModel(active), "the only candidate"
    if not source.live:  # it keeps the machine busy to its end: there is no idle moment to measure in
        return FixedModel(active), "safe candidate; `shelfcam choose` measures the others"
    return ChoosingModels(loader, active, moved), "safe candidate while the others are measured"


def _first_frames(source: Source, limit: int | None) -> Iterable[Tick]:
    """The ticks of ``source`` up to its ``limit``-th frame; unreadable files are reported on the way."""
    count = 0
    for tick in source:
        if not isinstance(tick, Frame):
            _LOG.warning("no frame (%s): %s", tick.reason.value, tick.detail)
        yield tick
        count += isinstance(tick, Frame)
        if limit is not None and count >= limit:
            return
