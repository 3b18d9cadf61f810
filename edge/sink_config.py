"""What a config says of the outbox and of each kind of sink: ``[outbox]`` and ``[[sink]]``, told apart by ``kind``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from edge.errors import ConfigError
from edge.secret import read_secret, show_url
from edge.strict import Name, Strict

_PATHS = ("path", "ca_file", "cert_file", "key_file", "password_file", "secret_file", "token_file", "url_file")

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
TimeoutMs = Annotated[int, msgspec.Meta(ge=100, le=600_000)]
Host = Annotated[str, msgspec.Meta(pattern=r"^[\w.:%\[\]-]{1,253}\Z")]
TopicPrefix = Annotated[str, msgspec.Meta(pattern=r"^[^+#\s/\x00][^+#\x00]*(?<!/)\Z", max_length=200)]
_HTTP_URL = r"^(?=[!-~]+$)https?://[^/@\s?#]+([/?][^@\s#]*)?\Z"
HttpUrl = Annotated[str, msgspec.Meta(pattern=_HTTP_URL, max_length=2_000)]
Megabytes = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class OutboxConfig(Strict, frozen=True, kw_only=True):
    """How much is kept in the state directory. ``max_mb``: of events, delivered ones included, in 1,000,000 bytes; some megabytes of
    log stand beside the file. ``max_age_days``: older ones go, delivered or not."""

    max_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 30


class JsonLinesConfig(Strict, frozen=True, kw_only=True, tag_field="kind", tag="jsonl"):
    """Lines appended to the file ``path``, or "-": standard output. ``max_mb``: begin a new file at that size (null: never), and
    keep the last ``keep`` full ones as path.1 (the newest) to path.N."""

    path: str = "-"
    max_mb: Megabytes | None = None
    keep: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 5

    @property
    def where(self) -> str:
        """Where it leads, without secrets; the outbox remembers a sink by it."""
        return self.path


class MqttConfig(Strict, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """An MQTT 5 broker. ``port`` null: 1883, with ``tls`` 8883. ``client_id`` null: "shelfcam-" and the camera's name. The broker
    keeps the session ``session_expiry_s`` after a disconnect. ``homeassistant_prefix``: announce a sensor a slot there."""

    host: Host
    port: Port | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    client_id: Name | None = None
    topic_prefix: TopicPrefix = "shelfcam"
    session_expiry_s: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 3_600
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=65_535)] = 60
    timeout_ms: TimeoutMs = 10_000
    homeassistant_prefix: TopicPrefix | None = None

    def __post_init__(self) -> None:
        if not self.tls and (self.ca_file or self.cert_file):
            raise ValueError("ca_file and cert_file need tls = true")
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file")
        if self.password_file and self.username is None:
            raise ValueError("password_file needs username")

    @property
    def where(self) -> str:
        """Where it leads, without secrets; the outbox remembers a sink by it."""
        return f"{self.host}:{self.port}/{self.topic_prefix}"


class WebhookConfig(Strict, frozen=True, kw_only=True, tag_field="kind", tag="webhook"):
    """An HTTP server that takes POSTs of up to ``max_batch`` events. Its address is ``url``, or the first line of ``url_file`` where the
    address itself is a secret. ``secret_file``: signs the events (HMAC-SHA256). ``token_file``: sent as a bearer token. ``ca_file`` null:
    the system's authorities."""

    url: HttpUrl | None = None
    url_file: str | None = None
    secret_file: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    timeout_ms: TimeoutMs = 10_000
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100

    def __post_init__(self) -> None:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("webhook needs either url or url_file")
        if self.url is not None:
            _check_address(self.url, self.ca_file)

    def address(self) -> str:
        """The address with all its secrets. Raises ConfigError: ``url_file`` is not what it should be."""
        if self.url_file is None:
            assert self.url is not None  # checked above
            return self.url
        url = read_secret(self.url_file, "url_file").reveal()
        try:
            if not re.search(_HTTP_URL, url):
                raise ValueError("its first line is no http:// or https:// address without a user")
            _check_address(url, self.ca_file)
        except ValueError as error:
            raise ConfigError(f"url_file {self.url_file}: {error}", fix="write the whole address as its first line") from None
        return url

    @property
    def where(self) -> str:
        """Where it leads, without secrets; the outbox remembers a sink by it."""
        return show_url(self.url) if self.url is not None else f"file:{self.url_file}"

    def __repr__(self) -> str:
        return f"WebhookConfig({self.where})"


def _check_address(url: str, ca_file: str | None) -> None:
    """Raises ValueError, which quotes nothing of it."""
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).netloc.rpartition("]")[2].partition(":")[2]
    except ValueError:
        raise ValueError("url: its host is none") from None
    if not host:
        raise ValueError("url: has no host")
    if port and not re.fullmatch("[0-9]+", port):
        raise ValueError("port could not be cast to a number")
    if port and int(port[:6]) > 65_535:
        raise ValueError("port out of range 0-65535")
    if ca_file and not url.startswith("https:"):
        raise ValueError("ca_file needs an https url")


SinkConfig = JsonLinesConfig | MqttConfig | WebhookConfig


def with_paths(config: SinkConfig, resolve: Callable[[str], str]) -> SinkConfig:
    """``config`` with each of its paths passed through ``resolve``; "-" is no path."""
    given = {key: getattr(config, key, None) for key in _PATHS}
    return msgspec.structs.replace(config, **{key: resolve(path) for key, path in given.items() if path and path != "-"})
