"""GET over HTTP/1.1 for cameras: one request, one answer, and its body with caps; nothing is followed, unpacked or asked of a proxy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from edge import __version__
from edge.errors import SourceError
from edge.sources.base import Trust
from edge.sources.http_auth import Login, login_of
from edge.sources.wire import Address, Head, MessageError, Wire, elsewhere, end_of_head, parse_head

_LOG = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024
_MAX_LENGTH = 2**63 - 1
_NO_LENGTH = 2**31 - 1  # what cameras say whose streams have none
_MOST_INFORMATIVE = 8  # answers of 1xx before the real one
_warned: set[str] = set()


class Feed:
    """Bytes of a message, buffered, from ``read_into(view) -> count`` (0 at the end)."""

    def __init__(self, read_into: Callable[[memoryview], int]) -> None:
        self._read_into = read_into
        self.buffer = bytearray()
        self._chunk = bytearray(_READ_BYTES)

    def more(self) -> bool:
        """Read what has come. False at the end."""
        count = self._read_into(memoryview(self._chunk))
        self.buffer += memoryview(self._chunk)[:count]
        return count > 0

    def head(self, *, first_line: bool = True) -> Head | None:
        """The next head; None at the end. Raises MessageError."""
        while (ends := end_of_head(self.buffer)) is None:
            if not self.more():
                return None
        raw = bytes(self.buffer[: ends[0]])
        del self.buffer[: ends[1]]
        return parse_head(raw, first_line=first_line)

    def line(self, cap: int) -> bytes | None:
        """The next line without its end; None at the end. Raises MessageError: longer than ``cap``."""
        while (end := self.buffer.find(b"\n", 0, cap + 1)) < 0:
            if len(self.buffer) > cap:
                raise MessageError(f"a line is longer than {cap:,} bytes")
            if not self.more():
                return None
        line = bytes(self.buffer[:end]).removesuffix(b"\r")
        del self.buffer[: end + 1]
        return line

    def exactly(self, count: int) -> bytearray | None:
        """The next ``count`` bytes, which the caller has held against a cap; None if the end comes before."""
        content = bytearray(count)
        view = memoryview(content)
        filled = min(count, len(self.buffer))
        view[:filled] = memoryview(self.buffer)[:filled]
        del self.buffer[:filled]
        while filled < count:
            got = self._read_into(view[filled:])
            if got == 0:
                return None
            filled += got
        return content

    def read_into(self, view: memoryview) -> int:
        """What is buffered, else what comes."""
        if not self.buffer:
            return self._read_into(view)
        count = min(len(view), len(self.buffer))
        view[:count] = memoryview(self.buffer)[:count]
        del self.buffer[:count]
        return count


class Chunked:
    """The body of a message whose Transfer-Encoding is chunked (RFC 9112 7.1): ``read_into`` gives its bytes. Raises MessageError."""

    def __init__(self, feed: Feed) -> None:
        self._feed, self._left, self._begun, self._ended = feed, 0, False, False

    def read_into(self, view: memoryview) -> int:
        """At least a byte, 0 at the end."""
        if self._left == 0 and not self._ended:
            self._next_chunk()
        if self._ended:
            return 0
        count = self._feed.read_into(view[: self._left])
        self._left -= count
        self._ended = count == 0
        return count

    def _next_chunk(self) -> None:
        if self._begun and self._feed.line(16) != b"":
            self._ended = True
            return
        self._begun, line = True, self._feed.line(1024)
        size = (line or b"").partition(b";")[0].strip()
        if line is not None and not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
            raise MessageError("the size of a chunk is no number")
        self._left = int(size or b"0", 16)
        self._ended = self._left == 0  # what trails is not looked at: the connection is closed


class Response:
    """An answer of 200: its head, and its body from ``read_into``. ``length``: of the body, None where it has no end by itself."""

    def __init__(self, head: Head, feed: Feed) -> None:
        self.head = head
        encodings = [part.strip().lower() for value in head.all("transfer-encoding") for part in value.split(",")]
        packed = head.get("content-encoding").lower()
        if encodings not in ([], ["identity"], ["chunked"]) or packed not in ("", "identity"):
            raise MessageError("it packs what it sends (Transfer-Encoding or Content-Encoding)")
        length = None if encodings == ["chunked"] else head.length(_MAX_LENGTH)
        self.length = None if length is None or length >= _NO_LENGTH else length
        self.read_into = Chunked(feed).read_into if encodings == ["chunked"] else feed.read_into

    @property
    def content_type(self) -> str:
        """Type and subtype in small letters."""
        return self.head.get("content-type").partition(";")[0].strip().lower()


def get(address: Address, trust: Trust, shown: str, timeout_s: float) -> tuple[Wire, Response]:
    """Ask ``address``, with its credentials only where it wants some; the connection is the caller's to close.

    Raises:
        SourceError: anything but an answer of 200, which says what.
        ConfigError: the trust's file cannot be read.
    """
    login = login_of(address.user, address.password, address.host_port, tls=address.tls)
    wire = Wire(address, trust, shown)
    wire.within(timeout_s)
    try:
        head, feed = _ask(wire, None)
        if head.status == 401 and login is not None and login.challenged(head.all("www-authenticate")):
            if login.basic and not address.tls:
                warn_plain(shown)
            wire.close()
            head, feed = _ask(wire, login)
        if login is not None and login.downgraded:
            raise downgrade(shown)
        _judge(head, address, shown)
        return wire, Response(head, feed)
    except MessageError as error:
        wire.close()
        raise SourceError(
            f"{shown}: no stream comes from there: {error}", fix="check the address: is it the camera's?"
        ) from error
    except TimeoutError as error:
        wire.close()
        raise SourceError(f"{shown}: no stream comes from there: no answer within {timeout_s * 1000:.0f} ms") from error
    except BaseException:
        wire.close()
        raise


def warn_plain(shown: str) -> None:
    """Once a camera: its password can be read on the way."""
    if shown not in _warned:
        _warned.add(shown)
        _LOG.warning(
            "%s: the camera wants its password in plain text, for everybody in the network to read; "
            "switch it to Digest, or to https or rtsps",
            shown,
        )


def _ask(wire: Wire, login: Login | None) -> tuple[Head, Feed]:
    address = wire.address
    wire.connect()
    said = login.header("GET", address.target) if login is not None else None
    lines = [
        f"GET {address.target} HTTP/1.1",
        f"Host: {address.host_port}",
        f"User-Agent: shelfcam/{__version__}",
        "Accept: */*",
        "Accept-Encoding: identity",
        *([f"Authorization: {said}"] if said is not None else []),
        "Connection: close",
    ]
    wire.send("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
    feed = Feed(wire.read_into)
    for _ in range(_MOST_INFORMATIVE):
        head = feed.head()
        if head is None:
            raise MessageError("it hung up without an answer")
        if not 100 <= head.status < 200:
            return head, feed
    raise MessageError("it gives no final answer")


def _judge(head: Head, address: Address, shown: str) -> None:
    """Raises SourceError for all but 200."""
    if head.status != 200:
        raise refusal(head, address, shown)


def downgrade(shown: str) -> SourceError:
    """A camera that knew Digest wants the password itself."""
    return SourceError(
        f"{shown}: no stream comes from there: it asked for Digest before, and now wants the password in plain text, which it does not get",
        fix="if the camera was set up so, start again; else somebody may stand between",
    )


def refusal(head: Head, address: Address, shown: str) -> SourceError:
    """What an answer of HTTP or RTSP other than 200 means."""
    where, status = f"{shown}: no stream comes from there", head.status
    if 300 <= status < 400:
        place = elsewhere(head.get("location"), address.url) if head.get("location") else "nowhere"
        return SourceError(
            f"{where}: it sends on to {place} ({status}), which is not followed",
            fix="if that is where the camera is, write that address as the source",
        )
    if status in (401, 403):
        return SourceError(f"{where}: it refuses user and password ({status})", fix="check user and password_file")
    if status in (404, 410, 454):
        return SourceError(f"{where}: it has no such path ({status})", fix="check the path of the address")
    return SourceError(f"{where}: it answers {status}", fix="check the address, and the camera's own log")
