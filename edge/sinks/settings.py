"""What a config says of the outbox and of each kind of sink: ``[outbox]`` and ``[[sink]]``, told apart by ``kind``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from edge.bundle.manifest import Name, Strict

_PATHS = ("path", "ca_file", "cert_file", "key_file", "password_file", "secret_file", "token_file")

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
TimeoutMs = Annotated[int, msgspec.Meta(ge=100, le=600_000)]
Host = Annotated[str, msgspec.Meta(pattern=r"^[^\s/@]+$")]
TopicPrefix = Annotated[str, msgspec.Meta(pattern=r"^[^+#\s/\x00][^+#\x00]*(?<!/)$", max_length=200)]
HttpUrl = Annotated[str, msgspec.Meta(pattern=r"^(?=[!-~]+$)https?://[^/@\s?#]+([/?][^@\s#]*)?$", max_length=2_000)]
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
    """An HTTP server that takes POSTs of up to ``max_batch`` events. ``secret_file``: signs them (HMAC-SHA256). ``token_file``: sent
    as a bearer token. ``ca_file`` null: the system's authorities."""

    url: HttpUrl
    secret_file: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    timeout_ms: TimeoutMs = 10_000
    max_batch: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100

    def __post_init__(self) -> None:
        _ = urlsplit(self.url).port  # raises ValueError, saying why, where it is no port
        if self.ca_file and not self.url.startswith("https:"):
            raise ValueError("ca_file needs an https url")

    @property
    def where(self) -> str:
        """Where it leads, without secrets; the outbox remembers a sink by it."""
        return self.url.partition("?")[0]


SinkConfig = JsonLinesConfig | MqttConfig | WebhookConfig


def with_paths(config: SinkConfig, resolve: Callable[[str], str]) -> SinkConfig:
    """``config`` with each of its paths passed through ``resolve``; "-" is no path."""
    given = {key: getattr(config, key, None) for key in _PATHS}
    return msgspec.structs.replace(config, **{key: resolve(path) for key, path in given.items() if path and path != "-"})
