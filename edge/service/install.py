"""Put the systemd parts in place: the same files that stand in ``systemd/``, with the installation's own path and this board's drop-in.

``plan`` says what shall be where, ``apply`` makes it so; a second run changes nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from edge.board.boards import Board
from edge.errors import SinkError, UsageError
from edge.rootfs import Image

UNITS = "usr/local/lib/systemd/system"
"""Where systemd looks for what an administrator installs without the package manager (systemd.unit(5))."""

EXAMPLE = "etc/shelfcam/example.toml"
DEFAULT_PREFIX = "/opt/shelfcam"
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - from the service: ProtectHome= and PrivateTmp= of its unit

Action = Literal["made", "replaced", "unchanged", "kept", "removed"]


@dataclass(frozen=True, slots=True)
class Part:
    """One file. ``path`` is relative to the root; ``content`` None: it shall not be there; ``owned`` False: never replaced."""

    path: str
    content: bytes | None
    owned: bool = True


class InstallStep(msgspec.Struct, frozen=True, kw_only=True):
    """What happened (or, in a dry run, would happen) to a file, or a command that was run; ``detail`` says why it was not."""

    what: str
    action: str
    detail: str = ""


def plan(prefix: str, board: Board) -> tuple[Part, ...]:
    """The files of an installation.

    Args:
        prefix: the virtual environment that the service runs from, as an absolute path on the device.
        board: whose cameras the unit may open, besides USB ones.

    Raises:
        UsageError: the service could not see ``prefix``.
    """
    if not prefix.startswith("/") or any(prefix == place or prefix.startswith(f"{place}/") for place in _HIDDEN):
        raise UsageError(
            f"{prefix}: the service cannot run from there: its unit hides home and temporary directories",
            fix=f"python3 -m venv {DEFAULT_PREFIX}, install shelfcam into it, and run {DEFAULT_PREFIX}/bin/shelfcam install",
        )
    unit = _shipped("shelfcam@.service").replace(DEFAULT_PREFIX.encode(), prefix.encode())
    drop_in = _shipped(f"boards/{board}.conf") if board != "other" else None
    return (
        Part(f"{UNITS}/shelfcam@.service", unit),
        Part(f"{UNITS}/shelfcam@.service.d/20-board.conf", drop_in),
        Part(f"{UNITS}/shelfcam-restart@.socket", _shipped("shelfcam-restart@.socket")),
        Part(f"{UNITS}/shelfcam-restart@.service", _shipped("shelfcam-restart@.service")),
        Part(f"{UNITS}/shelfcam-restart@reboot.service", _shipped("shelfcam-restart@reboot.service")),
        Part("usr/local/lib/sysusers.d/shelfcam.conf", _shipped("shelfcam.sysusers")),
        Part("usr/local/lib/tmpfiles.d/shelfcam.conf", _shipped("shelfcam.tmpfiles")),
        Part(EXAMPLE, _shipped("example.toml"), owned=False),
        Part("etc/shelfcam/webcam.toml", _shipped("webcam.toml"), owned=False),
    )


def apply(parts: Sequence[Part], root: Path, *, dry_run: bool) -> Iterator[InstallStep]:
    """Bring every file below ``root`` to what the plan says, telling each; nothing outside is read or written, wherever links in it lead.
    Raises SinkError."""
    image = Image(root)
    for part in parts:
        action = _action(image, part)
        if not dry_run and action in ("made", "replaced") and part.content is not None:
            image.write(part.path, part.content)
        elif not dry_run and action == "removed":
            image.remove(part.path)
        if part.content is not None or action == "removed":
            yield InstallStep(what=str(root / part.path), action=action)


def settle(root: Path, *, dry_run: bool, run: Callable[[Sequence[str]], None] | None = None) -> Iterator[InstallStep]:
    """Make the user and the directories, and let a running systemd read its units again.

    In an image (``root`` is not /) only the user is made; tmpfiles are made at each boot.

    Raises:
        SinkError: a command failed.
    """
    at = [] if root == Path("/") else [f"--root={root}"]
    commands = [["systemd-sysusers", *at, "shelfcam.conf"]]
    if not at:
        commands += [["systemd-tmpfiles", "--create", "shelfcam.conf"], ["systemctl", "daemon-reload"]]
    for command in commands:
        what = " ".join(command)
        if shutil.which(command[0]) is None:
            yield InstallStep(what=what, action="not run", detail=f"{command[0]} is not installed: run it on the device")
        elif os.geteuid() != 0:
            yield InstallStep(what=what, action="not run", detail="needs root")
        elif at and (odd := _odd_account_file(root)) is not None:
            yield InstallStep(
                what=what, action="not run", detail=f"{odd} is a link or no file, which it would follow: run it on the device"
            )
        elif command[0] == "systemctl" and not Path("/run/systemd/system").is_dir():
            yield InstallStep(what=what, action="not run", detail="systemd is not running here")
        else:
            if not dry_run:
                (run or _run)(command)
            yield InstallStep(what=what, action="run")


def _action(image: Image, part: Part) -> Action:
    there = image.is_there(part.path)
    if part.content is None:
        return "removed" if there else "unchanged"
    if not there:
        return "made"
    if not part.owned:
        return "unchanged" if image.read(part.path) == part.content else "kept"
    return "unchanged" if image.read(part.path) == part.content else "replaced"


def _odd_account_file(root: Path) -> str | None:
    """What of the image could lead systemd-sysusers to other files than the image's own: it opens them by their paths."""
    image = Image(root)
    places = [f"etc/{name}{end}" for name in ("passwd", "shadow", "group", "gshadow", ".pwd.lock") for end in ("", "-")]
    return next((odd for place in places if (odd := image.odd_part(place)) is not None), None)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SinkError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _shipped(name: str) -> bytes:
    return (resources.files("edge") / "assets" / "systemd" / name).read_bytes()
