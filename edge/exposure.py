"""What a configuration lays open, though it works: secrets that others can read on this machine or on the network. Each with its fix."""

from __future__ import annotations

import grp
import ipaddress
import logging
import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edge.config import CameraConfig, DeviceConfig
from edge.errors import ConfigError
from edge.secret import SECRET_FILES
from edge.sink_config import MqttConfig, WebhookConfig

_LOG = logging.getLogger(__name__)

_SERVICE_GROUP = "shelfcam"

_PRIVATE_FILES = (*SECRET_FILES, "key_file")
_PASSWORD = re.compile(r"(?i)://\S*:\S*@|(pass|pwd|pw\b|token|secret|auth|key|credential)[a-z0-9_-]*\s*=")
_PLAIN_STREAM = re.compile(r"(?i)(rtsp|http)://(?P<rest>.*)", re.DOTALL)


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """One secret that lies open, and what to do about it."""

    message: str
    fix: str


def exposures(config: DeviceConfig) -> Iterator[Exposure]:
    """What others could read; none of it stops the service."""
    yield from _files(config.camera, "camera")
    for index, sink in enumerate(config.sink):
        yield from _files(sink, f"sink[{index}]")
    yield from _camera(config.camera)
    for index, sink in enumerate(config.sink):
        if isinstance(sink, MqttConfig):
            yield from _mqtt(sink, f"sink[{index}]")
        elif isinstance(sink, WebhookConfig):
            yield from _webhook(sink, f"sink[{index}]")


def warn(config: DeviceConfig) -> None:
    """Each as a warning in the log, once a process."""
    for one in exposures(config):
        if one.message not in _WARNED:
            _WARNED.add(one.message)
            _LOG.warning("%s; fix: %s", one.message, one.fix)


_WARNED: set[str] = set()


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def exposed(path: str | Path) -> str | None:
    """Who else can read the file of a secret, or change it, by its mode: "everybody on this machine …", a group; or None.

    Of groups, those of this process, root's and the service's are trusted. A file that cannot be looked at is nobody's fault here.
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    if found.st_mode & stat.S_IRWXO:
        return "everybody on this machine"
    if found.st_mode & stat.S_IRWXG and found.st_gid not in _trusted_groups():
        return f"the group {_group_name(found.st_gid)}"
    return None


def exposure_fix(path: str | Path) -> str:
    """What to type about it."""
    name = shlex.quote(str(path))
    if _service_group() is None:
        return f"chmod 640 {name}, or 600 where its group is not the service's"
    return f"chown root:{_SERVICE_GROUP} {name} && chmod 640 {name}"


def _trusted_groups() -> set[int]:
    service = _service_group()
    return {0, os.getegid(), *os.getgroups(), *([] if service is None else [service])}


def _service_group() -> int | None:
    try:
        return grp.getgrnam(_SERVICE_GROUP).gr_gid
    except KeyError:
        return None


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _files(table: msgspec.Struct, at: str) -> Iterator[Exposure]:
    for name in _PRIVATE_FILES:
        path = getattr(table, name, None)
        if path is not None and (who := exposed(path)) is not None:
            yield Exposure(message=f"{at}.{name} {path}: {who} can read or change it", fix=exposure_fix(path))


def _camera(camera: CameraConfig) -> Iterator[Exposure]:
    holds = camera.source_file is None and _PASSWORD.search(camera.source) is not None
    if holds:
        yield Exposure(
            message="camera.source: holds a password, which stands in the configuration for all who can read that",
            fix="write scheme://USER@host/path and put the password into a file that camera.password_file names; "
            "or put the whole source into one that camera.source_file names",
        )
    plain = _PLAIN_STREAM.match(camera.source)
    if plain is None or not (camera.password_file or _PASSWORD.search(camera.source)):
        return
    try:
        host = urlsplit(f"//{re.split('[/?#]', plain['rest'])[0].rpartition('@')[2]}").hostname or ""
    except ValueError:  # no address: told elsewhere, as what keeps the camera from being opened
        return
    if not is_loopback(host):
        yield Exposure(
            message="camera.source: its password is sent without TLS, readable on the network",
            fix="rtsps:// or https:// where the camera has it; else a network of its own for cameras, and a password used nowhere else",
        )


def _mqtt(sink: MqttConfig, at: str) -> Iterator[Exposure]:
    if sink.password_file is not None and not sink.tls and not is_loopback(sink.host):
        yield Exposure(
            message=f"{at}: the password is sent to {sink.host} without TLS, readable on the network",
            fix="tls = true (port 8883), with ca_file for a broker's own authority",
        )


def _webhook(sink: WebhookConfig, at: str) -> Iterator[Exposure]:
    try:
        url = urlsplit(sink.address())
    except ConfigError:  # told elsewhere, as what keeps the service from starting
        return
    carried = [name for name, there in (("token", sink.token_file), ("signature", sink.secret_file)) if there]
    carried += ["path of the address"] if url.path.strip("/") or url.query else []
    if url.scheme == "http" and carried and not is_loopback(url.hostname or ""):
        yield Exposure(
            message=f"{at}: the {' and the '.join(carried)} are sent to {url.hostname} without TLS, readable on the network",
            fix="an https:// address, with ca_file for a server's own authority",
        )
