"""The parts of an MJPEG stream over HTTP, from whoever sends them."""

from __future__ import annotations

import re

from edge.sources.http import Feed
from edge.sources.wire import Head, MessageError, parse_head

MAX_PART_BYTES = 16_000_000
_MAX_BOUNDARY_BYTES = 200  # RFC 2046 5.1.1 allows 70
_MAX_BETWEEN_BYTES = 64 * 1024  # before the first part, and from a part to the next
_MAX_HEAD_BYTES = 8 * 1024  # of a part


class Multipart:
    """The parts of a ``multipart/x-mixed-replace`` body (RFC 2046 5.1), as cameras send them: with or without Content-Length.

    Args:
        feed: the body.
        content_type: the header, which names the boundary.
        max_part_bytes: of one part.

    Raises:
        MessageError: the boundary is none.
    """

    def __init__(self, feed: Feed, content_type: str, max_part_bytes: int = MAX_PART_BYTES) -> None:
        self._feed, self._max = feed, max_part_bytes
        named = re.search(r";\s*boundary\s*=\s*(?:\"([^\"]*)\"|([^\s;]*))", content_type, re.IGNORECASE)
        boundary = (named[1] or named[2] or "") if named is not None else ""
        if len(boundary) > _MAX_BOUNDARY_BYTES:
            raise MessageError(f"its boundary is longer than {_MAX_BOUNDARY_BYTES} bytes")
        # Some name it with the two dashes that stand before it, some do not: they are not counted.
        self._name = boundary.encode(errors="surrogateescape").lstrip(b"-")
        self._end = re.compile(rb"\n-{2,%d}" % _MAX_BOUNDARY_BYTES + re.escape(self._name))
        self._to_mark = True

    def next_part(self) -> bytes | bytearray | None:
        """The content of the next part; None at the end. Raises MessageError: larger than allowed, or no part."""
        if self._to_mark and not self._skip_to_mark():
            return None
        head = self._part_head()
        if head is None:
            return None
        length = head.length(self._max)
        if length is not None:
            self._to_mark = True
            return self._feed.exactly(length)
        return self._up_to_mark()

    def _skip_to_mark(self) -> bool:
        """Past the line with the boundary. False at the end."""
        skipped = 0
        while (line := self._feed.line(_MAX_BETWEEN_BYTES)) is not None:
            if line.startswith(b"--") and line.lstrip(b"-").startswith(self._name):
                return not (self._name and line.strip().lstrip(b"-") == self._name + b"--")
            skipped += len(line) + 1
            if skipped > _MAX_BETWEEN_BYTES:
                raise MessageError(f"no part begins within {_MAX_BETWEEN_BYTES:,} bytes")
        return False

    def _part_head(self) -> Head | None:
        """Of lines up to an empty one, which there may be none before. Raises MessageError."""
        lines: list[bytes] = []
        while (line := self._feed.line(_MAX_HEAD_BYTES)) is not None:
            if not line:
                return parse_head(b"\n".join(lines), first_line=False)
            lines.append(line)
            if sum(map(len, lines)) > _MAX_HEAD_BYTES:
                raise MessageError(f"the headers of a part are longer than {_MAX_HEAD_BYTES:,} bytes")
        return None

    def _up_to_mark(self) -> bytes | None:
        """Content without a length ends where the next boundary stands at the beginning of a line."""
        buffer, looked = self._feed.buffer, 0
        while (found := self._end.search(buffer, looked)) is None:
            looked = max(0, len(buffer) - 2 * _MAX_BOUNDARY_BYTES - 1)
            if len(buffer) > self._max:
                raise MessageError(f"a part is longer than {self._max:,} bytes")
            if not self._feed.more():
                return None
        content = bytes(buffer[: found.start()]).removesuffix(b"\r")
        start = found.start() + 1
        del found  # it holds on to the buffer
        del buffer[:start]
        self._to_mark = True
        return content
