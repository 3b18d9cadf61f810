"""Composition root: the only file that chooses implementations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.reader import Bundle
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
from edge.monitor.stopwatch import Stopwatch
from edge.monitor.vitals import Health, SlotCounts, Vitals, judge_health
from edge.secret import with_password
from edge.shelf.base import Pictures, Shelf, ViewHealth
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.sinks import build_sink, sink_key
from edge.sinks.base import Sink, SinkSite, Snapshot
from edge.sinks.committer import OutboxLimits
from edge.sinks.outbox import StoredOutbox
from edge.sources import open_source
from edge.sources.base import KnownShelf, KnowsItsShelf, Limits, Source, Trust

if TYPE_CHECKING:
    from edge.board.pace import Pace, PaceSigns
    from edge.monitor.http import Face
    from edge.pictures.keeper import PictureKeeper
    from edge.shelf.layout import Watched
    from edge.sources.recovering import Actions

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
    limits = Limits(
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
    from edge.pictures.keeper import Limits as PictureLimits
    from edge.pictures.keeper import PictureKeeper
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


def build_face(config: MetricsConfig, vitals: Vitals, stopwatch: Stopwatch) -> Face:
    """The metrics and the health of a run, not yet served: enter it. Raises ConfigError without prometheus-client."""
    from edge.board.thermal import read_thermal
    from edge.monitor.http import Face
    from edge.monitor.metrics import Exposition

    def health() -> Health:
        return judge_health(vitals.signs(), config.unhealthy_after_s)

    return Face(
        config.listen, health, Exposition(health, stopwatch.histograms, read_thermal, vitals.outbox_status), config.hosts
    )


def build_shelf(
    config: DeviceConfig,
    bundle_sha256: str,
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
        bundle_sha256: of the bundle that runs: labels that another one gave are learned anew.
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
            watched.shelf.restore(known.body, same_model=known.bundle == bundle_sha256)
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
