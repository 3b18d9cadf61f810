"""MQTT 5 through paho-mqtt: QoS 1, and an event is delivered when the broker has acknowledged all that was published for it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edge.data import ShelfEvent
from edge.errors import ConfigError
from edge.secret import Secret, read_secret, tls_context
from edge.sink_config import MqttConfig
from edge.sinks.base import DeliveryError, RefusedError, SinkSite
from edge.sinks.topics import OFFLINE, ONLINE, Publication, Topics
from edge.text import safe_text

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_WINDOW = 100  # events published before their acknowledgements are waited for
_PORT, _TLS_PORT = 1883, 8883
_FAREWELL_S = 2.0
_MOST_PACKET_BYTES = 256 * 1024  # of a broker's: it has nothing to say but acknowledgements with their reasons
_MOST_HELD = 20  # messages of another's subscription under our client id, which the broker has not released (QoS 2)
_MOST_REPLIES = 1_000  # that wait to be sent; of our own publications paho sends 20 at once


class _Link:
    """One connection and what came back over it; a new one for each try, so that nothing of an earlier one is sent late."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.changed = threading.Condition()
        self.connected = False
        self.lost: str | None = None
        self.answers: dict[int, str | None] = {}
        """Message id → None where it was taken, else the reason why it was refused."""
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish

    def publish(self, message: Publication) -> int:
        """Queue it; returns its id."""
        info = self.client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        return int(info.mid)

    def wait_answer(self, mid: int, timeout_s: float) -> bool:
        """Whether it was answered; False when the connection is lost, or nothing at all came for ``timeout_s``."""
        with self.changed:
            while mid not in self.answers and self.lost is None:
                if not self.changed.wait(timeout_s):
                    self.lost = f"no acknowledgement within {timeout_s:g} s"
            return mid in self.answers

    def drop(self) -> None:
        """End it without goodbye, so that the broker publishes the last will; waits for no peer."""
        peer: Any = self.client.socket()
        if peer is not None:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()
        self.release()

    def release(self) -> None:
        """Give its sockets back at once: client and link lead to each other, and the collector of such rings may not run for hours."""
        self.client.on_connect = self.client.on_disconnect = self.client.on_publish = None

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self.changed:
            self.connected = not reason.is_failure
            self.lost = f"the broker refused the connection: {reason}" if reason.is_failure else None
            self.changed.notify_all()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self.changed:
            self.lost = self.lost or f"the connection was lost: {reason}"
            self.changed.notify_all()

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        with self.changed:
            self.answers[mid] = str(reason) if reason.is_failure else None
            self.changed.notify_all()


class Mqtt:
    """Publishes under ``topics.Topics``. Connects when it first writes, and again after any failure.

    Raises:
        ConfigError: paho-mqtt is not installed, or a secret or certificate cannot be read.
    """

    takes_simulated = False

    def __init__(self, config: MqttConfig, site: SinkSite) -> None:
        try:
            import paho.mqtt.client  # noqa: F401 - whether it is there is asked before the loop begins
        except ImportError as error:
            raise ConfigError('sink kind "mqtt" needs paho-mqtt', fix="pip install 'paho-mqtt>=2.1'") from error
        self._config = config
        self._port = config.port or (_TLS_PORT if config.tls else _PORT)
        self._client_id = config.client_id or f"shelfcam-{site.camera}"
        self._topics = Topics(config.topic_prefix, site.camera, config.homeassistant_prefix)
        self._timeout_s = config.timeout_ms / 1000
        self._known: dict[str, str | None] = {}
        self._link: _Link | None = None
        self.label = f"mqtt {config.host}:{self._port}"
        self._secrets()

    def write(self, events: Sequence[ShelfEvent]) -> int:
        """Publish the first ones and wait for the broker's acknowledgements. Raises DeliveryError or RefusedError."""
        link = self._link or self._connect()
        known = dict(self._known)
        groups: list[list[tuple[int, str]]] = []
        after: list[dict[str, str | None]] = []
        for event in events[:_WINDOW]:
            try:
                groups.append([(link.publish(message), message.topic) for message in self._topics.of(event, known)])
            except (
                ValueError
            ) as error:  # a slot of 60,000 letters is none of ours; an outbox that somebody tampered with may hold it
                if groups:
                    break  # those before it first
                self._drop()
                raise RefusedError(
                    f"{self.label}: an event cannot be published: {safe_text(error, limit=200)}", count=1
                ) from error
            after.append(dict(known))
        return self._wait(link, groups, after)

    def close(self) -> None:
        """Say offline and disconnect."""
        if self._link is None:
            return
        link, self._link = self._link, None
        if link.wait_answer(link.publish(Publication(self._topics.status, OFFLINE, retain=True)), _FAREWELL_S):
            link.client.disconnect()
            link.client.loop_stop()
            link.release()
        else:
            link.drop()

    def _wait(self, link: _Link, groups: list[list[tuple[int, str]]], after: list[dict[str, str | None]]) -> int:
        """How many of the first events are acknowledged whole."""
        for count, group in enumerate(groups):
            for mid, topic in group:
                if not link.wait_answer(mid, self._timeout_s):
                    self._drop()
                    if count:
                        return count
                    raise DeliveryError(f"{self.label}: {link.lost}")
                refusal = link.answers.pop(mid)
                if refusal is not None:
                    self._drop()  # what was published behind it goes with the connection, or comes again
                    if count:
                        return count
                    raise RefusedError(
                        f"{self.label}: the broker refused {topic}: {refusal}", count=1, fix="check the broker's access list"
                    )
            self._known = after[count]
        return len(groups)

    def _connect(self) -> _Link:
        """Connect, wait for the broker's yes, and say online."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._config.session_expiry_s
        properties.MaximumPacketSize = _MOST_PACKET_BYTES
        link = _Link(self._build_client())
        try:
            link.client.connect(
                self._config.host, self._port, self._config.keepalive_s, clean_start=False, properties=properties
            )
        except (OSError, ValueError) as error:
            link.release()
            reason = error if isinstance(error, ssl.SSLError) else (getattr(error, "strerror", None) or error)
            raise DeliveryError(f"{self.label}: cannot connect: {reason}") from error
        link.client.loop_start()
        with link.changed:
            if not link.changed.wait_for(lambda: link.connected or link.lost is not None, self._timeout_s):
                link.lost = f"no answer within {self._timeout_s:g} s"
        if link.connected:
            online = link.publish(Publication(self._topics.status, ONLINE, retain=True))
            if link.wait_answer(online, self._timeout_s) and (refusal := link.answers.pop(online)) is not None:
                link.lost = f"the broker refused {self._topics.status}: {refusal}"
        if link.lost is not None:
            link.drop()
            raise DeliveryError(f"{self.label}: {link.lost}")
        self._link, self._known = link, {}  # another broker may stand there: tell it all states anew
        return link

    def _build_client(self) -> Client:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion

        class Guarded(Client):
            """Hangs up on a broker that sends what nobody asked for faster than it can be thrown away: paho itself takes 256 MB a packet,
            and keeps 65,535 of them."""

            def _sock_recv(self, bufsize: int) -> bytes:
                if bufsize > _MOST_PACKET_BYTES or len(self._in_messages) > _MOST_HELD or len(self._out_packet) > _MOST_REPLIES:
                    raise ConnectionError("the broker sends more than answers")
                return super()._sock_recv(bufsize)

        client = Guarded(CallbackAPIVersion.VERSION2, self._client_id, protocol=MQTTv5, reconnect_on_failure=False)
        client.connect_timeout = self._timeout_s
        client.will_set(self._topics.status, OFFLINE, qos=1, retain=True)
        try:
            context, password = self._secrets()
        except ConfigError as error:  # they were there at the start: somebody is changing them
            raise DeliveryError(f"{self.label}: {error}", fix=error.fix) from error
        if context is not None:
            client.tls_set_context(context)
        if self._config.username is not None:
            client.username_pw_set(self._config.username, password.reveal() if password else None)
        return client

    def _secrets(self) -> tuple[ssl.SSLContext | None, Secret | None]:
        """Read at each connection: certificates are renewed under the running service."""
        config = self._config
        context = tls_context(config.ca_file, config.cert_file, config.key_file) if config.tls else None
        password = read_secret(config.password_file, "password_file") if config.password_file else None
        return context, password

    def _drop(self) -> None:
        if self._link is not None:
            self._link.drop()
            self._link = None
