"""May the service's user open the cameras and write its state?"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.check import unwritable_reason
from edge.doctor.line import Line, fail, ok, warn
from edge.errors import ExitCode
from edge.sinks.committer import STORE_NAME
from edge.sinks.database import kept_aside

SERVICE_USER = "shelfcam"
VIDEO_GROUP = "video"
_SLASH = Path("/")


@dataclass(frozen=True, slots=True)
class User:
    """Who the service runs as: number and groups."""

    name: str
    uid: int
    gids: frozenset[int]

    def may(self, path: Path, mode: int) -> bool:
        """Whether the mode bits let this user get there and do that (os.R_OK, W_OK, X_OK); ACLs are not looked at. Like os.access."""
        if self.uid == 0:
            return True
        try:
            return self._mode(path, mode) and all(self._mode(parent, os.X_OK) for parent in path.absolute().parents)
        except OSError:
            return False

    def _mode(self, path: Path, mode: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.gids else 0
        return (stat.S_IMODE(found.st_mode) >> shift) & mode == mode


def service_user() -> User:
    """The user ``shelfcam`` where ``shelfcam install`` made it, else whoever runs this."""
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return current_user()
    return User(entry.pw_name, entry.pw_uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def current_user() -> User:
    """Whoever runs this; a number without a name in a container."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return User(name, uid, frozenset([os.getegid(), *os.getgroups()]))


def video_group(user: User, groups: Mapping[str, int] | None = None) -> Line:
    """Whether the user is in the group of the camera devices; ``groups``: name → number, those of this machine by default."""
    groups = groups if groups is not None else {entry.gr_name: entry.gr_gid for entry in grp.getgrall()}
    number = groups.get(VIDEO_GROUP)
    if number is None:
        return warn("video group", f"there is no group {VIDEO_GROUP}", "sudo shelfcam install makes it")
    if user.uid == 0 or number in user.gids:
        return ok("video group", f"user {user.name} may open camera devices")
    return warn(
        "video group",
        f"user {user.name} is not in {VIDEO_GROUP}",
        f"sudo usermod -aG {VIDEO_GROUP} {user.name}, and log in again",
    )


def state(user: User, directory: Path) -> Line:
    """Whether the user may write the camera's state."""
    try:
        directory.exists()
    except PermissionError:
        return warn("state", f"{directory} may not be looked at", "run this as root")
    reason = unwritable_reason(directory, directory=True, access=user.may)
    if reason is None:
        return ok("state", f"{directory}, writable by {user.name}")
    return fail("state", f"{directory}: {reason} (user {user.name})", f"sudo chown -R {user.name} {directory}", ExitCode.OUTPUT)


def damaged_outboxes(directory: Path) -> Iterator[Line]:
    """A line if damaged outboxes of the camera with this state directory were set aside."""
    try:
        kept = kept_aside(directory / STORE_NAME)
    except OSError:
        return  # ``state`` tells of it
    if kept:
        found = f"{len(kept)} damaged ones are kept in {directory}, the last as {kept[-1].name}"
        yield warn("outbox", found, f"sqlite3 {kept[-1]} .recover shows what is in it; look at the disk, then delete it")


def devices(user: User, root: Path = _SLASH) -> list[Line]:
    """The V4L2 devices that the kernel knows, and whether the user may open each. ``root`` holds sys and dev."""
    lines = []
    for entry in sorted((root / "sys/class/video4linux").glob("video*"), key=lambda path: (len(path.name), path.name)):
        name = _name(entry / "name")
        node = root / "dev" / entry.name
        if not node.exists():
            lines.append(
                warn(
                    "camera", f"/dev/{entry.name}: {name}: it has no device node", "look at udev, or pass it into the container"
                )
            )
        elif user.may(node, os.R_OK | os.W_OK):
            lines.append(ok("camera", f"/dev/{entry.name}: {name}"))
        else:
            fix = f"sudo usermod -aG {VIDEO_GROUP} {user.name}"
            lines.append(
                fail("camera", f"/dev/{entry.name}: {name}: user {user.name} may not open it", fix, ExitCode.UNAVAILABLE)
            )
    return lines or [ok("camera", "no V4L2 device; pictures, videos and network cameras need none")]


def _name(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "unnamed"
