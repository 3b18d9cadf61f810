"""One connection to the one host that a camera's address names: bytes with deadlines, and the messages of HTTP and RTSP with caps.

Nothing here follows a redirect, asks a proxy or trusts a certificate that nobody vouches for.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

from edge.errors import ConfigError, SourceError
from edge.secret import SHOWN_SCHEMES, show_url, tls_context
from edge.sources.base import Trust

MAX_HEAD_BYTES = 16 * 1024
MAX_HEADERS = 100
_READ_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}  # RFC 9110 4.2, RFC 7826 4.2
_TLS = ("https", "rtsps")
_TARGET_CHARACTERS = (
    "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\""  # all of ASCII that is seen: cameras' addresses hold what no RFC allows
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_PLAIN = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class MessageError(ValueError):
    """What came is no message of HTTP or RTSP, or a larger one than any camera's."""


@dataclass(frozen=True, slots=True)
class Address:
    """A camera's address, taken apart. ``target``: path and query as they are sent; ``user`` None: without credentials."""

    scheme: str
    host: str
    port: int
    target: str
    user: str | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ConfigError: there is no host in it, the port is none, or it holds control characters."""
        if re.search(r"[\x00-\x1f\x7f]", url):
            raise ConfigError(f"{show_url(url)!r}: an address holds no control characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"{show_url(url)}: no address: its host or port cannot be read") from error
        if parts.scheme not in _PORTS or not host or port == 0 or re.search(r"[\s/\\@?#]", host):
            raise ConfigError(f"{show_url(url)}: no address of a camera", fix=f"write it as {parts.scheme}://HOST:PORT/PATH")
        raw = url[url.index("//") + 2 + len(parts.netloc) :].partition("#")[0] or "/"
        target = quote(raw if raw.startswith("/") else f"/{raw}", safe=_TARGET_CHARACTERS)
        user = None if parts.username is None else unquote(parts.username)
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], target, user, unquote(parts.password or ""))

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in _TLS

    @property
    def host_port(self) -> str:
        """As a Host header names it: an IPv6 address in brackets, the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Without credentials."""
        return f"{self.scheme}://{self.host_port}{self.target}"


@dataclass(frozen=True, slots=True)
class Head:
    """First line and headers of a message of HTTP, RTSP or of a part. Names in small letters, in order; what is no UTF-8 is escaped by
    surrogates, and goes back as it came."""

    first: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Every value of the header ``name``, given in small letters."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str:
        """The first value; empty if there is none."""
        return next(iter(self.all(name)), "")

    @property
    def status(self) -> int:
        """Of an answer. Raises MessageError if it is none."""
        match = re.fullmatch(r"(?:HTTP|RTSP)/[0-9]\.[0-9] ([1-9][0-9]{2})(?: .*)?", self.first)
        if match is None:
            raise MessageError("what came is no answer of HTTP or RTSP")
        return int(match[1])

    def length(self, cap: int) -> int | None:
        """Content-Length; None if it is not said. Raises MessageError: no number, two different ones, or more than ``cap``."""
        said = set(self.all("content-length"))
        if not said:
            return None
        text = said.pop()
        if said or not re.fullmatch(r"[0-9]{1,20}", text):
            raise MessageError("its Content-Length is no number")
        if int(text) > cap:
            raise MessageError(f"its Content-Length is {int(text):,} bytes; {cap:,} are taken")
        return int(text)


def parse_head(raw: bytes, *, first_line: bool = True) -> Head:
    """A head up to, and without, the empty line at its end; lines may end in a bare LF. ``first_line``: whether it has one.

    Raises:
        MessageError: larger than any camera's (``MAX_HEAD_BYTES``, ``MAX_HEADERS``), or a line that is no header.
    """
    if len(raw) > MAX_HEAD_BYTES:
        raise MessageError(f"its headers are longer than {MAX_HEAD_BYTES:,} bytes")
    lines = [line.removesuffix("\r") for line in raw.decode(errors="surrogateescape").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    first = lines.pop(0) if first_line and lines else ""
    if len(lines) > MAX_HEADERS:
        raise MessageError(f"it has more than {MAX_HEADERS} headers")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name.rstrip()) or not _PLAIN.fullmatch(value):
            raise MessageError("one of its headers is none")
        headers.append((name.rstrip().lower(), value.strip()))
    if not _PLAIN.fullmatch(first):
        raise MessageError("its first line holds control characters")
    return Head(first, tuple(headers))


def end_of_head(raw: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """Where the head that begins at ``start`` ends, and where what follows its empty line begins. None: not there yet.

    Raises:
        MessageError: it is not there though there are more bytes than a head may have.
    """
    found = re.compile(rb"\r?\n\r?\n").search(raw, start, start + MAX_HEAD_BYTES + 4)
    if found is None and len(raw) - start > MAX_HEAD_BYTES:
        raise MessageError(f"its headers are longer than {MAX_HEAD_BYTES:,} bytes")
    return None if found is None else (found.start(), found.end())


def elsewhere(location: str, base: str) -> str:
    """Where a redirect points, to be shown: scheme, host, port, and the path if it is made of short words, as a camera's own are; none of
    what could be a name, a password or a token."""
    try:
        parts = urlsplit(urljoin(base, location) if "://" not in location else location)
        scheme, host, port, path = parts.scheme, parts.hostname or "", parts.port, parts.path
    except ValueError:
        return "an address that cannot be read"
    if scheme not in SHOWN_SCHEMES or not re.fullmatch(r"[a-z0-9_.:%-]{1,253}", host):
        return "an address that cannot be read"
    plain = re.fullmatch(r"(/[A-Za-z0-9_.-]{0,24}){0,8}", path)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{path if plain else '/...'}"[:200]


class Wire:
    """A TCP or TLS connection to ``address``, made by ``connect``.

    ``within`` sets until when all reading and sending must be done; past it they raise TimeoutError.

    Raises:
        ConfigError: ``trust`` names a file that is no certificate.
    """

    def __init__(self, address: Address, trust: Trust, shown: str) -> None:
        self.address, self.shown = address, shown
        self._context = _context(trust) if address.tls else None
        self._socket: socket.socket | None = None
        self._deadline_s = float("inf")
        self.heard_s = 0.0  # time.monotonic() when the last bytes came

    @property
    def socket(self) -> socket.socket:
        """The connection, once it was made."""
        assert self._socket is not None
        return self._socket

    def within(self, seconds: float) -> None:
        """From now on, all together."""
        self._deadline_s = time.monotonic() + seconds

    def left_ms(self) -> int:
        """Until the end of what ``within`` set, at least 1."""
        return max(1, int((self._deadline_s - time.monotonic()) * 1000))

    def connect(self) -> None:
        """Raises SourceError: nobody is there, or it cannot show a certificate that is trusted."""
        where = f"{self.shown}: no stream comes from there"
        try:
            plain = socket.create_connection((self.address.host, self.address.port), self._left_s())
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise SourceError(f"{where}: {reason}", fix="check the address, and that the camera is on") from error
        self._socket = plain
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return
        try:
            plain.settimeout(self._left_s())
            self._socket = self._context.wrap_socket(plain, server_hostname=self.address.host)
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"{where}: its certificate is not trusted: {error.verify_message}",
                fix="put its authority's certificate, or its own, in a PEM file and name that as camera.ca_file in the config; "
                "camera.insecure = true takes any certificate, also that of somebody in between",
            ) from error
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{where}: no TLS connection: {getattr(error, 'reason', None) or error}", fix="check scheme and port"
            ) from error

    def send(self, data: bytes) -> None:
        """All of it. Raises TimeoutError or OSError."""
        self.socket.settimeout(self._left_s())
        self.socket.sendall(data)

    def read_into(self, view: memoryview) -> int:
        """What has come, at least a byte, at most ``len(view)``; 0 at the end. Raises TimeoutError or OSError."""
        self.socket.settimeout(self._left_s())
        try:
            count = self.socket.recv_into(view)
        except ssl.SSLEOFError:  # hung up without TLS' own goodbye, as cameras do
            return 0
        self.heard_s = time.monotonic()
        return count

    def close(self) -> None:
        """Hang up; may be called twice, and from another thread, whose reading ends then."""
        if self._socket is not None:
            with_shutdown(self._socket)

    def _left_s(self) -> float:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return min(left_s, 3600.0)


def with_shutdown(connection: socket.socket) -> None:
    """Close a connection so that whoever waits for it in another thread wakes up."""
    with contextlib.suppress(OSError):  # was not connected any more
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def check_trust(trust: Trust) -> None:
    """Raises ConfigError: its file is no certificate."""
    if trust.ca_file is not None:
        _context(trust)


def _context(trust: Trust) -> ssl.SSLContext:
    context = tls_context(trust.ca_file)
    if trust.ca_file is not None:
        # A camera's own certificate may be named: it is no authority's, and lacks what RFC 5280 wants of one.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
