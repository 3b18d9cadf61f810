"""Composition root: the only file that chooses implementations."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import resources
from pathlib import Path
from types import FrameType

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
from edge.config import AUTO, CameraConfig, DeviceConfig, SinkConfig, state_directory, thread_count
from edge.data import Frame, ShelfEvent, Tick
from edge.errors import ConfigError, DataError, SinkError
from edge.service.events import EventCounter, EventFactory
from edge.service.heartbeat import Heartbeat
from edge.service.stopwatch import StageStats, Stopwatch
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.sinks.base import DirectOutbox, Sink
from edge.sources import open_source, redact
from edge.sources.base import Limits, Source
from edge.sources.credentials import with_password

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


def build_sink(config: SinkConfig) -> Sink:
    """One sink of the config; its module is imported here."""
    from edge.sinks.jsonl import JsonLines

    return JsonLines(config.path)


def run(config: DeviceConfig, *, frames: int | None, watch: Callable[[ShelfEvent], None] | None = None) -> RunReport:
    """Run the camera loop until its source ends, ``frames`` frames went through, or SIGTERM or SIGINT.

    Args:
        config: the site.
        frames: stop after so many frames; None: no limit.
        watch: called with every event after it was committed, to show it.

    Raises:
        ShelfcamError: by whoever has to act; everything committed before it is flushed.
    """
    cv2.setNumThreads(1)  # the resize is a fraction of a millisecond; a second pool would only disturb the runtime's
    clock, stopwatch = Clock(), Stopwatch()
    bundle = find_bundle(config)
    model = find_model(bundle, config.model.name)
    loader = ModelLoader(bundle, model, threads=thread_count(config.model.threads), top_k=config.model.top_k)
    with ExitStack() as stack:
        source = open_camera(config.camera, clock)
        stack.enter_context(stop_on_signals(source.stop))  # before it is entered: a camera may take its time to open
        stack.enter_context(source)
        counter = stack.enter_context(closing(EventCounter(state_directory(config) / "next_event")))
        sinks: list[Sink] = [build_sink(sink) for sink in config.sink] + ([_Watcher(watch)] if watch else [])
        outbox = stack.enter_context(closing(DirectOutbox(sinks)))
        events = EventFactory(config.camera.name, f"{bundle.manifest.name}@{bundle.sha256[:12]}", model.name, counter)

        def say(type_: str, *flags: str) -> None:
            outbox.commit([events.status(type_, clock.utc(), flags, simulated=source.simulated)], b"{}")

        told: list[str] = []

        def moved(choice: Choice, idle: bool) -> None:
            events.model = f"{model.name}/{choice.candidate}"
            told.append(choice.reason if idle else f"{choice.reason}; measured on a busy machine, so not remembered")
            if idle:
                _remember(config, machine_key(bundle.sha256, model.name, loader.threads), choice)
            say("candidate", choice.candidate, told[-1])

        models, reason = _build_models(config, loader, source, moved)
        stack.enter_context(closing(models))
        told.append(reason)
        events.model = f"{model.name}/{models.current().candidate}"
        say("started", models.current().candidate, reason)
        heartbeat = Heartbeat(clock)
        parts = loop.Parts(Unchecked(), WholeFrame(events), models, outbox, heartbeat, stopwatch)
        start = time.perf_counter()
        try:
            loop.run(_first_frames(source, frames), parts)
        finally:
            heartbeat.stopping()
        seconds = time.perf_counter() - start
        say("stopped", f"frames={heartbeat.frames}", f"dropped={source.dropped}", f"skipped={source.skipped}")
        if heartbeat.frames == 0 and source.skipped:
            raise DataError(f"{redact(config.camera.source)}: none of its {source.skipped} files could be decoded")
        return RunReport(
            bundle=bundle.manifest.name,
            model=model.name,
            candidate=models.current().candidate,
            reason=told[-1],
            threads=loader.threads,
            source=redact(config.camera.source),
            simulated=source.simulated,
            frames=heartbeat.frames,
            dropped=source.dropped,
            skipped=source.skipped,
            seconds=seconds,
            fps=heartbeat.frames / seconds,
            stages=stopwatch.report(),
        )


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call ``stop`` once; the same signal again does what it does by default (a way out of a hang)."""

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, previous[number])
        stop()

    previous = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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


class _Watcher:
    """A sink that shows events as they come."""

    def __init__(self, watch: Callable[[ShelfEvent], None]) -> None:
        self._watch = watch

    def write(self, events: Iterable[ShelfEvent]) -> None:
        for event in events:
            self._watch(event)

    def close(self) -> None:
        pass
