"""Can what the sinks deliver to be reached? A TCP connection is opened and closed; nothing is said on it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from edge.doctor.line import Line, fail, ok
from edge.errors import ConfigError, ExitCode
from edge.secret import show_url
from edge.sink_config import WebhookConfig

CONNECT_TIMEOUT_S = 5.0
_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}


def brokers(sinks: Iterable[msgspec.Struct]) -> list[Line]:
    """A line for each sink that has a ``host`` and ``port``, or a ``url``."""
    return [reach(*target) for target in map(_target, sinks) if target is not None]


def reach(name: str, host: str, port: int, timeout_s: float = CONNECT_TIMEOUT_S) -> Line:
    """Whether something listens there. ``name`` is how the line calls it."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return ok("broker", f"{name}: {host} port {port} answers")
    except OSError as error:  # also a name that does not resolve, and the time-out
        found = f"{name}: {host} port {port}: {error.strerror or error}"
        return fail("broker", found, "look at the network, the address and whether the server runs", ExitCode.UNAVAILABLE)


def _target(sink: msgspec.Struct) -> tuple[str, str, int] | None:
    kind = type(sink).__struct_config__.tag or getattr(sink, "kind", type(sink).__name__)
    host, port, url = (getattr(sink, name, None) for name in ("host", "port", "url"))
    if isinstance(host, str) and isinstance(port, int):
        return str(kind), host, port
    if isinstance(sink, WebhookConfig):
        try:
            url = sink.address()
        except ConfigError:  # told as a problem of the configuration
            return None
    if isinstance(url, str):
        parts = urlsplit(url)
        if parts.hostname:
            return f"{kind} {show_url(url)}", parts.hostname, parts.port or _PORTS.get(parts.scheme, 443)
    return None
