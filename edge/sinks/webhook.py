"""Webhook: batches of events as signed POSTs to an HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec

from edge import __version__
from edge.data import ShelfEvent
from edge.errors import ConfigError
from edge.secret import Secret, read_secret, show_url, tls_context
from edge.sink_config import WebhookConfig
from edge.sinks.base import DeliveryError, RefusedError, SinkSite
from edge.sinks.deadline import TimedConnection, TimedTlsConnection
from edge.text import safe_text

SCHEMA = 1
"""Of the body: ``{"schema": 1, "camera": …, "events": […]}``."""

_LATER = (408, 429)  # RFC 9110 15.5.9, RFC 6585 4: the same request may be taken later
_LONGEST_RETRY_AFTER_S = 3_600.0
_LONGEST_REASON = 200  # characters of what a server says
_READ_BYTES = 1 << 16  # of an answer, whose content nobody looks at


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request."""

    schema: int = SCHEMA
    camera: str
    events: Sequence[ShelfEvent]


def signature(secret: bytes, timestamp_s: int, body: bytes) -> str:
    """What a receiver has to compute: hex HMAC-SHA256 (RFC 2104) of the timestamp in decimal, a full stop, and the body."""
    return hmac.new(secret, b"%d." % timestamp_s + body, hashlib.sha256).hexdigest()


class Webhook:
    """Delivered means: the server answered 2xx. Headers beside the usual ones:

    - ``X-Shelfcam-Timestamp``: Unix seconds of the try; a receiver refuses old ones against replay.
    - ``X-Shelfcam-Signature``: ``sha256=`` and ``signature``, with ``secret_file``.
    - ``Idempotency-Key``: the ids of the first and the last event. A batch that comes again may be cut elsewhere: the ids of the
      events are what tells that they are known.

    All of a try, from looking up the name to the last byte of the answer, has ``timeout_ms``. A timeout, a failed connection, 5xx, 408
    and 429 are tried again (``Retry-After`` in seconds is heeded). Any other answer, redirects included, is a refusal.

    Raises:
        ConfigError: a secret or certificate cannot be read.
    """

    takes_simulated = False

    def __init__(self, config: WebhookConfig, site: SinkSite, utc_s: Callable[[], float] = time.time) -> None:
        self._config, self._camera, self._utc_s = config, site.camera, utc_s
        self._url = config.address()
        self.label = f"webhook {show_url(self._url)}"
        self._connection = self._build(self._url)
        self._encoder = msgspec.json.Encoder()
        self._secrets()

    def write(self, events: Sequence[ShelfEvent]) -> int:
        """POST the first ``max_batch`` of them. Raises DeliveryError or RefusedError."""
        batch = events[: self._config.max_batch]
        body = self._encoder.encode(Batch(camera=self._camera, events=batch))
        headers = self._headers(body) | {"Idempotency-Key": f"{batch[0].id}..{batch[-1].id}"}
        url = urlsplit(self._url)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            self._connection.begin()
            self._connection.request("POST", target, body, headers)
            answer = self._connection.getresponse()
            answer.read(_READ_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DeliveryError(f"{self.label}: {safe_text(reason, limit=_LONGEST_REASON)}") from error
        if not answer.isclosed():
            self._connection.close()  # more of an answer than anybody reads
        self._judge(answer, len(batch))
        return len(batch)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _judge(self, answer: http.client.HTTPResponse, count: int) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        what = f"{self.label}: the server answered {status} {safe_text(answer.reason, limit=_LONGEST_REASON)}"
        if status >= 500 or status in _LATER:
            raise DeliveryError(what, retry_after_s=_retry_after_s(answer.getheader("Retry-After")))
        raise RefusedError(what, count=count, fix="check the address, secret_file and token_file, and the server's log")

    def _headers(self, body: bytes) -> dict[str, str | bytes]:
        now_s = int(self._utc_s())
        try:
            secret, token = self._secrets()
            self._take_address(self._config.address())
        except ConfigError as error:  # it was there at the start: somebody is changing it
            raise DeliveryError(f"{self.label}: {error}", fix=error.fix) from error
        headers: dict[str, str | bytes] = {
            "Content-Type": "application/json",
            "User-Agent": f"shelfcam/{__version__}",
            "X-Shelfcam-Timestamp": str(now_s),
        }
        if secret is not None:
            headers["X-Shelfcam-Signature"] = f"sha256={signature(secret.reveal().encode(), now_s, body)}"
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}".encode()
        return headers

    def _take_address(self, url: str) -> None:
        """Of a file that may be changed under the running service."""
        if url != self._url:
            self._connection.close()
            self._url, self._connection = url, self._build(url)

    def _secrets(self) -> tuple[Secret | None, Secret | None]:
        """Read each time: a secret may be changed under the running service."""
        config = self._config
        secret = read_secret(config.secret_file, "secret_file") if config.secret_file else None
        return secret, read_secret(config.token_file, "token_file") if config.token_file else None

    def _build(self, url: str) -> TimedConnection:
        parts, timeout_s = urlsplit(url), self._config.timeout_ms / 1000
        if parts.scheme == "http":
            return TimedConnection(parts.netloc, timeout_s=timeout_s)
        return TimedTlsConnection(parts.netloc, timeout_s=timeout_s, context=tls_context(self._config.ca_file))


def _retry_after_s(text: str | None) -> float | None:
    """Seconds of a Retry-After header; a date (RFC 9110 10.2.3) is left to the own pauses."""
    return min(_LONGEST_RETRY_AFTER_S, float(text)) if text and text.isdecimal() else None
