"""What passes between FFmpeg and a camera over RTSP (RFC 2326, RFC 7826): pure, without a connection.

FFmpeg speaks as to a server without a password; the camera sees its own address and, where it asks, credentials. What a camera may
answer is a list: everything else is refused or left out before FFmpeg sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from edge.errors import SourceError
from edge.sources.http import downgrade, refusal
from edge.sources.http_auth import login_of
from edge.sources.wire import Address, Head, MessageError, elsewhere, end_of_head, parse_head

MAX_BODY_BYTES = 64 * 1024
_MAX_PENDING = 32
_LEAST_FRAME_BYTES = 8  # an empty RTCP report (RFC 3550 6.4.2); FFmpeg loses its place in shorter ones
_PASSED_ON = ("session", "public", "content-base")
_PROTOCOLS = ("RTP/AVP", "RTP/AVPF", "RTP/AVP/TCP")
_ENCODINGS = {"H264", "H265", "JPEG", "MP4V-ES", "MPV", "MP2T", "VP8", "VP9", "AV1"}
_STATIC = {"26": "JPEG", "32": "MPV", "33": "MP2T"}  # RFC 3551, table 5
_SDP_SESSION = ("v=", "o=", "s=", "c=", "t=", "a=control:")
_SDP_MEDIA = ("c=", "a=fmtp:", "a=control:", "a=framesize:", "a=framerate:")
_RTPMAP = re.compile(r"a=rtpmap: ?(0|[1-9][0-9]{0,2}) +([A-Za-z0-9.+-]{1,40})/.*")


@dataclass(frozen=True, slots=True)
class RtspMessage:
    """A request or an answer."""

    head: Head
    body: bytes


class Splitter:
    """Takes bytes apart into messages and interleaved frames (RFC 2326 10.12).

    Args:
        passed: whether frames of a channel are wanted; others are left out.
    """

    def __init__(self, passed: Callable[[int], bool]) -> None:
        self._passed = passed
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[RtspMessage | bytes]:
        """What has become complete with ``data``, in order: messages, and runs of whole frames with their 4-byte headers.

        Raises:
            MessageError: it is neither, or larger than any camera's.
        """
        buffer, position, size = self._buffer, 0, 0
        buffer += data
        size = len(buffer)
        found: list[RtspMessage | bytes] = []
        while position < size:
            first = buffer[position]
            if first == 0x24:
                end = self._frames(position, size, found)
            elif first in b"\r\n":
                end = position + 1
            else:
                end = self._message(position, found)
            if end == position:
                break
            position = end
        del buffer[:position]
        return found

    def _frames(self, position: int, size: int, found: list[RtspMessage | bytes]) -> int:
        """Past the whole frames that begin at ``position``."""
        buffer, begun = self._buffer, position
        while position + 4 <= size and buffer[position] == 0x24:
            length = buffer[position + 2] << 8 | buffer[position + 3]
            end = position + 4 + length
            if end > size:
                break
            if length < _LEAST_FRAME_BYTES or not self._passed(buffer[position + 1]):
                if begun < position:
                    found.append(bytes(buffer[begun:position]))
                begun = end
            position = end
        if begun < position:
            found.append(bytes(buffer[begun:position]))
        return position

    def _message(self, position: int, found: list[RtspMessage | bytes]) -> int:
        if not 0x41 <= self._buffer[position] <= 0x7A:  # no letter: neither an answer nor a request begins so
            raise MessageError("what comes is no RTSP")
        ends = end_of_head(self._buffer, position)
        if ends is None:
            return position
        head = parse_head(bytes(self._buffer[position : ends[0]]))
        end = ends[1] + (head.length(MAX_BODY_BYTES) or 0)
        if end > len(self._buffer):
            return position
        found.append(RtspMessage(head, bytes(self._buffer[ends[1] : end])))
        return end


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of FFmpeg's that the camera has not answered."""

    cseq: str
    method: str
    uri: str
    message: RtspMessage
    logged_in: bool = False


class Dialogue:
    """Translates both sides' messages.

    ``refused``: what the last answer other than 200 means.

    Args:
        address: the camera's, with its credentials.
        local: the address at which FFmpeg takes the camera to be.
        shown: the camera in messages.
        plain: called when the password is about to be sent in plain text.
    """

    def __init__(self, address: Address, local: str, shown: str, plain: Callable[[], None]) -> None:
        self._address, self._local, self._shown, self._plain = address, local, shown, plain
        self._login = login_of(address.user, address.password, address.host_port, tls=address.tls)
        self._sent = 0
        self._asked: dict[int, _Asked] = {}
        self._channels: set[int] = set()
        self.refused: SourceError | None = None

    def granted(self, channel: int) -> bool:
        """Whether the camera was asked to send on ``channel``, and said that it would."""
        return channel in self._channels

    def from_ffmpeg(self, message: RtspMessage) -> bytes:
        """A message of FFmpeg's as the camera gets it; empty for an answer, for it was asked nothing."""
        if message.head.first.startswith("RTSP/"):
            return b""
        method, _, rest = message.head.first.partition(" ")
        uri = rest.rpartition(" ")[0]
        if uri == self._local or uri.startswith(f"{self._local}/"):
            uri = self._address.url + uri[len(self._local) :]
        return self._send(_Asked(message.head.get("cseq"), method, uri, message))

    def from_camera(self, message: RtspMessage) -> tuple[bytes, bytes]:
        """A message of the camera's: what FFmpeg gets of it, and what the camera gets in return.

        Raises:
            SourceError: it sends us elsewhere, refuses the credentials, or would send otherwise than it was asked.
            MessageError: it is malformed.
        """
        head = message.head
        if not head.first.startswith("RTSP/"):
            return b"", self._answer_request(head)
        asked = self._answered(head)
        if asked is None:
            return b"", b""
        status = head.status
        if 300 <= status < 400:
            raise refusal(head, self._address, self._shown)
        if status == 401:
            return b"", self._log_in(asked, head)
        if status != 200:
            self.refused = refusal(head, self._address, self._shown)
            return _written(f"RTSP/1.0 {status} Refused", [("CSeq", asked.cseq)], b""), b""
        headers = [("CSeq", asked.cseq), *((name.title(), head.get(name)) for name in _PASSED_ON if head.get(name))]
        body = b""
        if asked.method == "DESCRIBE":
            body = checked_sdp(message.body)
            headers += [("Content-Type", "application/sdp"), ("Content-Length", str(len(body)))]
        if asked.method == "SETUP":
            headers.append(("Transport", self._checked_transport(head.get("transport"))))
        return _written("RTSP/1.0 200 OK", headers, body), b""

    def _send(self, asked: _Asked) -> bytes:
        if len(self._asked) >= _MAX_PENDING:  # some cameras never answer what only keeps the session alive
            del self._asked[next(iter(self._asked))]
        self._sent += 1
        self._asked[self._sent] = asked
        kept = [(name, value) for name, value in asked.message.head.headers if name not in ("cseq", "authorization")]
        said = self._login.header(asked.method, asked.uri) if self._login is not None else None
        if said is not None:
            kept.append(("Authorization", said))
        headers = [("CSeq", str(self._sent)), *((name.title(), value) for name, value in kept)]
        return _written(f"{asked.method} {asked.uri} RTSP/1.0", headers, asked.message.body)

    def _answered(self, head: Head) -> _Asked | None:
        """The request that an answer is to; where it does not say, the oldest."""
        cseq = head.get("cseq")
        if not cseq:
            return self._asked.pop(next(iter(self._asked)), None) if self._asked else None
        return self._asked.pop(int(cseq), None) if re.fullmatch("[0-9]{1,9}", cseq) else None

    def _log_in(self, asked: _Asked, head: Head) -> bytes:
        if self._login is None or asked.logged_in or not self._login.challenged(head.all("www-authenticate")):
            raise (
                downgrade(self._shown) if self._login and self._login.downgraded else refusal(head, self._address, self._shown)
            )
        if self._login.basic and not self._address.tls:
            self._plain()
        return self._send(replace(asked, logged_in=True))

    def _checked_transport(self, text: str) -> str:
        """As FFmpeg gets it: the channels, and nothing else. Raises SourceError."""
        first = text.partition(",")[0].strip()
        channels = re.search(r";\s*interleaved\s*=\s*([0-9]{1,3})(?:-([0-9]{1,3}))?\s*(?:;|$)", first)
        low = int(channels[1]) if channels else 256
        high = int(channels[2] or low) if channels else 256
        if not first.upper().startswith("RTP/AVP/TCP") or not low <= high <= min(255, low + 1):
            raise SourceError(
                f"{self._shown}: no stream comes from there: it would not send over the connection it was asked on",
                fix="let the camera allow RTP over TCP (interleaved)",
            )
        self._channels |= {low, high}
        return f"RTP/AVP/TCP;unicast;interleaved={low}-{high}"

    def _answer_request(self, head: Head) -> bytes:
        method = head.first.partition(" ")[0]
        if method == "REDIRECT":
            place = elsewhere(head.get("location"), self._address.url)
            raise SourceError(
                f"{self._shown}: the stream ended: the camera sends on to {place}, which is not followed",
                fix="if that is where the camera is, write that address as the source",
            )
        status = "200 OK" if method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER") else "501 Not Implemented"
        return _written(f"RTSP/1.0 {status}", [("CSeq", head.get("cseq"))], b"")


def checked_sdp(body: bytes) -> bytes:
    """Of a session description (RFC 8866) the videos that can be read, over RTP, with what is needed for them.

    Raises:
        MessageError: there is none.
    """
    text = body.decode(errors="surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    if not text.startswith("v=0") or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise MessageError("what it describes its stream with is no SDP")
    session, *media = re.split(r"\n(?=m=)", text)
    kept: list[str] = [line for line in session.split("\n") if line.startswith(_SDP_SESSION)]
    others: list[str] = []
    for section in media:
        first, *lines = section.split("\n")
        what = _video(first, lines)
        if what is None:
            formats = first.split(" ")[3:]
            kept += [first, *(line for line in lines if line.startswith(_SDP_MEDIA) or _names_a_format(line, formats))]
        else:
            others.append(what)
    if len(others) == len(media):
        raise MessageError(f"it offers no video that is read: {', '.join(others[:4]) or 'nothing'}")
    return "\r\n".join([*kept, ""]).encode(errors="surrogateescape")


def _names_a_format(line: str, formats: list[str]) -> bool:
    """Whether it maps one of the section's own formats to an encoding that is read. FFmpeg takes any such line, also of a format that the
    section does not have, also one that is written loosely, for the encoding of all."""
    match = _RTPMAP.fullmatch(line)
    return match is not None and match[1] in formats and match[2].upper() in _ENCODINGS


def _video(first: str, lines: list[str]) -> str | None:
    """None for a section of media that is kept, else what it is."""
    match = re.fullmatch(
        r"m=([a-z]{1,20}) [0-9]{1,5}(?:/[0-9]{1,5})? ([A-Za-z0-9/]{1,20}) ([0-9]{1,3}(?: [0-9]{1,3})*) *", first
    )
    if match is None:
        return "something unreadable"
    kind, protocol, formats = match[1], match[2], match[3].split(" ")
    named = {match[1]: match[2] for line in lines if (match := _RTPMAP.fullmatch(line)) is not None}
    encodings = [named.get(one, _STATIC.get(one, "unknown")).upper() for one in formats]
    if kind == "video" and protocol.upper() in _PROTOCOLS and set(encodings) <= _ENCODINGS:
        return None
    return f"{kind} as {'/'.join(encodings)[:60]} over {protocol}"


def _written(first: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode(errors="surrogateescape") + body
