"""Two cameras, their servers and their receivers, as a soak sets them up; and what was gathered at the end."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.record.schema import Missing
from benchmarks.soak import faults
from benchmarks.soak.camera import SoakCamera
from benchmarks.soak.checks import Event, Gathered
from benchmarks.soak.faults import JUMP_S, FaultTargets
from benchmarks.soak.plan import soak_script
from benchmarks.soak.receivers import BlockedPipe, Broker, WebhookReceiver, free_port, why_no_broker
from benchmarks.soak.rtsp import RtspServer, why_not
from benchmarks.soak.service import Supervised, wait_for
from edge.scene.script import Script
from edge.scene.scripted import ScriptedShelf, drawn_sprites
from edge.scene.shelf import slot_grid
from edge.shelf import reference
from edge.shelf.reference import Reference

SIZE_HW_PX, ROWS, COLUMNS, FPS = (360, 640), 2, 3, 8.0
SHELF, ROOM = "soak-shelf", "soak-room"
_PRODUCTS = 12
_DELIVERED_S = 90.0  # a sink that was away for long is tried again after up to a minute
_ROOM_VIDEO = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=128,height=96,framerate=4/1 ! videoconvert"


@dataclass(slots=True)
class Mailbox:
    """What came, by camera and sink; filled by the receivers' threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    events: dict[str, dict[str, list[Event]]] = field(default_factory=dict)

    def take(self, sink: str, event: dict[str, Any]) -> None:
        """One event."""
        with self.lock:
            self.events.setdefault(event["camera"], {}).setdefault(sink, []).append(event)


@dataclass(slots=True)
class SoakSetup:
    """Everything that runs. ``skipped``: faults that cannot be done here, with the reason."""

    place: Path
    targets: FaultTargets
    script: Script
    services: list[Supervised]
    mailbox: Mailbox
    start_utc_s: float
    skipped: list[Missing]


@contextmanager
def set_up(place: Path, seed: int, duration_s: float, candidate: str, bundle: str) -> Iterator[SoakSetup]:
    """Start it all; whatever happens, it is gone afterwards. Raises ShelfcamError."""
    slots = slot_grid(SIZE_HW_PX, ROWS, COLUMNS)
    x0, y0, x1, y1 = slots[0].box_xyxy_px
    sprites = drawn_sprites(_PRODUCTS, seed, (y1 - y0, x1 - x0))
    script = soak_script(seed, [slot.name for slot in slots], list(sprites), duration_s)
    scene = ScriptedShelf(script, sprites, seed, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    skipped, mailbox = [], Mailbox()
    with ExitStack() as stack:
        disk = place / "disk"
        why = faults.mount_small_disk(disk)
        stack.callback(faults.unmount, disk)
        skipped += [Missing(name="disk_full", reason=why)] if why else []
        no_broker, no_rtsp = why_no_broker(), why_not()
        skipped += [Missing(name="broker_down", reason=no_broker)] if no_broker else []
        skipped += [Missing(name="rtsp_killed", reason=no_rtsp)] if no_rtsp else []
        library = faults.faketime_library()
        skipped += (
            [] if library else [Missing(name="clock_jumps", reason="libfaketime is not installed (Debian package faketime)")]
        )
        webhook = stack.enter_context(WebhookReceiver(mailbox.take))
        broker = None if no_broker else stack.enter_context(Broker(place, mailbox.take))
        pipe = stack.enter_context(closing(BlockedPipe(place / "pipe")))
        rtsp = None if no_rtsp else stack.enter_context(RtspServer(_ROOM_VIDEO))
        camera = SoakCamera(scene, FPS)
        state = disk / SHELF
        state.mkdir()
        reference.save(state, Reference(scene.empty()))

        shared = [f"[model]\nbundle = {json.dumps(bundle)}\ncandidate = '{candidate}'\nthreads = 1"]
        shared += [f"[state]\ndir = {json.dumps(str(disk))}", *sinks(webhook.port, broker.port if broker else None)]

        def service(name: str, source: str, env: dict[str, str], *tables: str) -> Supervised:
            port = free_port()
            text = "\n".join([*site(name, source, port), *shared, *tables]) + "\n"
            return Supervised(name, place, text, port=port, env=env, now_s=camera.now_s)

        clock_file, env = None, {}
        if library:
            clock_file = place / "clock"
            faults.set_clock(clock_file, 0)
            env = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock_file), "FAKETIME_CACHE_DURATION": "1"}
            env |= {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        tables = [f"[[sink]]\nkind = 'jsonl'\npath = {json.dumps(str(pipe.path))}"]
        tables += [f"[[slot]]\nname = '{slot.name}'\nbox = {list(slot.box_xyxy_px)}" for slot in slots]
        services = [service(SHELF, camera.url, env, *tables)]
        services += [service(ROOM, rtsp.url, {})] if rtsp else []
        stack.enter_context(camera)
        start_utc_s = time.time()
        for one in services:
            stack.enter_context(one)
        targets = FaultTargets(services[0], camera, webhook, broker, rtsp, None if why else disk, clock_file)
        yield SoakSetup(place, targets, script, services, mailbox, start_utc_s, skipped)


def site(name: str, source: str, port: int) -> list[str]:
    """The tables of one camera, as an integrator writes them. FFmpeg looks at a stream of 4 frames/s for 5 s before it is open."""
    return [
        f"config_version = 1\n[camera]\nname = '{name}'\nsource = '{source}'\ntimeout_ms = 500",
        "open_timeout_ms = 15000\nread_timeout_ms = 3000\n[recovery]\nstall_ms = 3000\nreopens = 50\n[outbox]\nmax_mb = 8",
        f"[metrics]\nlisten = '127.0.0.1:{port}'\n[[sink]]\nkind = 'jsonl'\npath = '{name}.jsonl'",
    ]


def sinks(webhook: int, broker: int | None) -> list[str]:
    """Those that both cameras have."""
    found = [f"[[sink]]\nkind = 'webhook'\nurl = 'http://127.0.0.1:{webhook}/'\ntimeout_ms = 2000"]
    if broker is not None:
        found += [f"[[sink]]\nkind = 'mqtt'\nhost = '127.0.0.1'\nport = {broker}\ntimeout_ms = 3000"]
    return found


def gather(setup: SoakSetup, say: Callable[[str], None]) -> list[Gathered]:
    """Wait until everything stored is delivered, or for 90 s; stop the services; what each stored and the sinks have."""
    say("waiting for deliveries")
    wait_for(lambda: all(_has_all(setup, service) for service in setup.services), _DELIVERED_S)
    say("stopping")
    for service in setup.services:
        service.stop()
    wait_for(lambda: all(_has_all(setup, service) for service in setup.services), 10.0)
    return [_seen(setup, service) for service in setup.services]


def _has_all(setup: SoakSetup, service: Supervised) -> bool:
    ids = {event["id"] for event in stored(setup.place / "disk" / service.name / "outbox.db")}
    received = _received(setup, service)
    return all(ids <= {event["id"] for event in events} for events in received.values())


def _received(setup: SoakSetup, service: Supervised) -> dict[str, list[Event]]:
    with setup.mailbox.lock:
        came = {sink: list(events) for sink, events in setup.mailbox.events.get(service.name, {}).items()}
    sinks = ["webhook"] + (["mqtt"] if setup.targets.broker else [])
    lines = (setup.place / f"{service.name}.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()
    return {sink: came.get(sink, []) for sink in sinks} | {"jsonl": [msgspec.json.decode(line) for line in lines]}


def _seen(setup: SoakSetup, service: Supervised) -> Gathered:
    received = _received(setup, service)
    rows = stored(setup.place / "disk" / service.name / "outbox.db")
    reported = [(script_time_s(event, setup), event) for event in rows if event["kind"] == "event"]
    return Gathered(service.name, rows, received, service.samples, service.ended, service.starts, reported)


def stored(path: Path) -> list[Event]:
    """The events of an outbox, in its order; read while it is in use."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        return [msgspec.json.decode(body) for (body,) in db.execute("SELECT body FROM event ORDER BY position")]


def script_time_s(event: Event, setup: SoakSetup) -> float:
    """When the frame of an event was captured, in seconds of the script: without the hours by which the clock had jumped."""
    since_s = datetime.fromisoformat(event["captured_utc"].replace("Z", "+00:00")).timestamp() - setup.start_utc_s
    return since_s - JUMP_S if since_s > JUMP_S - 60 else since_s
