"""The faults of a soak: how each begins, and how it is taken back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak.camera import SoakCamera
from benchmarks.soak.receivers import Broker, WebhookReceiver
from benchmarks.soak.rtsp import RtspServer
from benchmarks.soak.service import Supervised

_FAKETIME = "faketime/libfaketimeMT.so.1"
JUMP_S = 7_200
"""By so much the clock goes; whole hours, so that the time of an event can be found all the same."""


@dataclass(frozen=True, slots=True)
class FaultTargets:
    """What faults are done to. None: not here."""

    shelf: Supervised
    camera: SoakCamera
    webhook: WebhookReceiver
    broker: Broker | None
    rtsp: RtspServer | None
    small_disk: Path | None
    clock_file: Path | None

    def actions(self) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
        """Kind → (begin, take back), of all that can be done here."""
        shelf, camera, broker, rtsp = self.shelf, self.camera, self.broker, self.rtsp
        found: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "kill": (shelf.kill, lambda: None),
            "stream_stalls": (lambda: camera.turn("stalls"), lambda: camera.turn("well")),
            "stream_wrong_size": (lambda: camera.turn("wrong_size"), lambda: camera.turn("well")),
            "config_broken": (
                lambda: shelf.reload(shelf.config_text + "\n[nonsense]\nkey = 1\n"),
                lambda: shelf.reload(shelf.config_text),
            ),
            "webhook_hangs": (lambda: self.webhook.hang(hangs=True), lambda: self.webhook.hang(hangs=False)),
        }
        if broker is not None:
            found["broker_down"] = (broker.stop, broker.start)
        if rtsp is not None:
            found["rtsp_killed"] = (rtsp.kill, rtsp.start)
        if self.small_disk is not None:
            filler = self.small_disk / "filler"
            found["disk_full"] = (lambda: fill(filler), lambda: filler.unlink(missing_ok=True))
        if self.clock_file is not None:
            clock = self.clock_file
            found["clock_jumps"] = (lambda: set_clock(clock, JUMP_S), lambda: set_clock(clock, 0))
        return found


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))


def set_clock(path: Path, offset_s: int) -> None:
    """What libfaketime adds to the wall clock of the service, from its next look on."""
    new = path.with_suffix(".new")
    new.write_text(f"{offset_s:+d}\n", encoding="ascii")
    new.replace(path)


def faketime_library() -> Path | None:
    """Debian's libfaketime, or None."""
    return next(iter(sorted(Path("/usr/lib").glob(f"*/{_FAKETIME}"))), None)


def mount_small_disk(place: Path) -> str:
    """A file system of 24 MB at ``place``. Returns why not, or nothing."""
    place.mkdir()
    if os.geteuid() != 0:
        return "only root can mount a small file system"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, check=False)
    return f"no tmpfs can be mounted: {done.stderr.decode(errors='replace').strip()}" if done.returncode else ""


def unmount(place: Path) -> None:
    """Give it back."""
    subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
