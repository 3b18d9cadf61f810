"""The HTTP endpoint for monitors: ``/metrics`` for Prometheus and ``/healthz`` as JSON, served beside the loop.

Whoever reaches the port is a stranger. One thread talks to all of them and one makes the metrics, so that slow clients cost memory for a
few headers and nothing else: each has one request and a time for all of it, and where there are too many the one that has dawdled longest
goes. A page in somebody's browser cannot read an answer by giving this address a name of its own (DNS rebinding): the Host header has to
be one that this machine is known by.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from types import TracebackType
from typing import NamedTuple

import msgspec

from edge.errors import ConfigError, SinkError
from edge.monitor.metrics import Exposition
from edge.monitor.vitals import Health

_LOG = logging.getLogger(__name__)

CLIENT_TIMEOUT_S = 5.0
"""From being let in to the last byte of the answer."""
MOST_CLIENTS = 64
HEAD_BYTES = 8_192
"""Of a request line and its headers; a scrape has some hundred."""

_MOST_HEADERS = 64
_REQUEST = re.compile(r"([A-Z]{1,20}) (/[!-~]{0,1000}) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255})(?::[0-9]{1,5})?")
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"
_FIX_HOST = b"not a name of this camera; the site lists its names as [metrics] hosts\n"


class _NoRequestError(Exception):
    """What came is no request that is answered."""


class _Answer(NamedTuple):
    status: HTTPStatus
    kind: str
    body: bytes


class HttpEndpoint:
    """Serves until it is closed; a context manager.

    Args:
        listen: HOST:PORT; an IPv6 address in brackets. Port 0 takes a free one (see ``port``).
        health: judges the camera now; called in the server's thread.
        exposition: makes the text of /metrics, in a thread of its own.
        hosts: names that clients may call this machine by, beside its addresses and localhost.

    Raises:
        ConfigError: ``listen`` is no address of this machine, or its port is out of range.
        SinkError: the port is taken.
    """

    def __init__(self, listen: str, health: Callable[[], Health], exposition: Exposition, hosts: Collection[str] = ()) -> None:
        host, _, port = listen.rpartition(":")
        self._listen = listen
        self._address = (host.strip("[]"), int(port))
        self._names = {_plain(name) for name in (*hosts, self._address[0], "localhost")}
        self._health, self._exposition = health, exposition
        self._clients: dict[asyncio.Task[None], bool] = {}
        """Whether we wait for it rather than it for us; the one that came first stands first."""

    def __enter__(self) -> HttpEndpoint:
        bound = self._bind()
        self.port = int(bound.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._maker = ThreadPoolExecutor(1, "metrics text")
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(bound),), name="metrics", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()
        self._loop.close()
        self._maker.shutdown(wait=False, cancel_futures=True)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        try:
            return socket.create_server(self._address, family=family, backlog=MOST_CLIENTS)
        except (socket.gaierror, OverflowError, UnicodeError) as error:
            raise ConfigError(f"metrics.listen: {self._listen}: {error}", fix="use an address of this machine") from error
        except OSError as error:
            what = f"metrics.listen: {self._listen}: {error.strerror or error}"
            raise SinkError(what, fix="give each camera of this machine its own port") from error

    async def _serve(self, bound: socket.socket) -> None:
        server = await asyncio.start_server(self._let_in, sock=bound, limit=HEAD_BYTES)
        await self._ending.wait()
        server.close()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None  # a coroutine of a server runs as one
        if len(self._clients) >= MOST_CLIENTS:
            slowest = next((client for client, idle in self._clients.items() if idle), next(iter(self._clients)))
            self._clients.pop(slowest)
            slowest.cancel()
        self._clients[me] = True
        try:
            await asyncio.wait_for(self._converse(me, reader, writer), CLIENT_TIMEOUT_S)
        except (OSError, EOFError, asyncio.TimeoutError, asyncio.CancelledError):
            pass  # too slow, gone, or sent away: its matter
        finally:
            self._clients.pop(me, None)
            writer.transport.abort()

    async def _converse(self, me: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, all of which has left when this returns."""
        writer.transport.set_write_buffer_limits(0)
        method = "GET"
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self._clients[me] = False
            method, path, hosts, version = _parse(head)
            answer = self._refusal(method, hosts, version, writer) or await self._answer(path)
        except asyncio.LimitOverrunError:
            answer = _plainly(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except _NoRequestError:
            answer = _plainly(HTTPStatus.BAD_REQUEST)
        writer.write(_headers(answer) + (b"" if method == "HEAD" else answer.body))
        await writer.drain()
        self._clients[me] = True
        if writer.can_write_eof():
            writer.write_eof()
            await reader.read(HEAD_BYTES)  # closed before the client has taken all, a reset would throw the rest away

    def _refusal(self, method: str, hosts: list[str], version: int, writer: asyncio.StreamWriter) -> _Answer | None:
        if method not in ("GET", "HEAD"):
            return _plainly(HTTPStatus.METHOD_NOT_ALLOWED)
        if not hosts and version == 0:
            return None  # HTTP/1.0 had none, and no browser speaks it
        if len(hosts) != 1:
            return _plainly(HTTPStatus.BAD_REQUEST)
        if not self._is_mine(hosts[0], str(writer.get_extra_info("sockname")[0])):
            return _Answer(HTTPStatus.MISDIRECTED_REQUEST, _TEXT, _FIX_HOST)
        return None

    def _is_mine(self, host: str, reached_at: str) -> bool:
        """``reached_at``: the address of this machine that the client came to."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = _plain(found[1])
        if name in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or address == _address(reached_at)

    async def _answer(self, path: str) -> _Answer:
        if path == "/metrics":
            try:
                text = await asyncio.get_running_loop().run_in_executor(self._maker, self._exposition.text)
            except (OSError, SinkError, sqlite3.Error) as error:
                _LOG.warning("the metrics cannot be read: %s", error)
                return _plainly(HTTPStatus.INTERNAL_SERVER_ERROR)
            return _Answer(HTTPStatus.OK, self._exposition.content_type, text)
        if path == "/healthz":
            health = self._health()
            good = health.ready and health.healthy
            return _Answer(
                HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, _JSON, msgspec.json.encode(health) + b"\n"
            )
        return _Answer(HTTPStatus.NOT_FOUND, _TEXT, b"/metrics and /healthz\n")


def _parse(head: bytes) -> tuple[str, str, list[str], int]:
    """(Method, path without its query, Host headers, minor version of HTTP/1). Raises _NoRequestError for anything but RFC 9112's
    plain form."""
    line, *headers = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request = _REQUEST.fullmatch(line)
    found = [_HEADER.fullmatch(header) for header in headers]
    if request is None or len(headers) > _MOST_HEADERS or None in found:
        raise _NoRequestError
    hosts = [header[2].strip(" \t") for header in found if header is not None and header[1].lower() == "host"]
    return request[1], request[2].partition("?")[0], hosts, int(request[3])


def _plainly(status: HTTPStatus) -> _Answer:
    return _Answer(status, _TEXT, status.phrase.encode() + b"\n")


def _headers(answer: _Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(answer.body)}",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy: same-origin",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _plain(name: str) -> str:
    """In one spelling: small letters, no brackets, no dot at the end; an address as Python writes it."""
    plain = name.strip("[]").lower().removesuffix(".")
    with suppress(ValueError):
        return str(ip_address(plain))
    return plain


def _address(text: str) -> object:
    address = ip_address(text.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
