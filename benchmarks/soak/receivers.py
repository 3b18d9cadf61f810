"""Where a soak's events go: a mosquitto broker with a subscriber, an HTTP server that can hang, a pipe that nobody reads."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from getpass import getuser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from edge.errors import BackendError

Received = Callable[[str, dict[str, Any]], None]
"""Called with the sink's name and each event as it came."""
_START_S, _PIPE_BYTES = 30.0, 4_096
_F_SETPIPE_SZ = 1031  # fcntl(2); Python 3.10 has it by name


def free_port() -> int:
    """A port of loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def why_no_broker() -> str:
    """Why there can be no broker here; empty if there can."""
    if _mosquitto() is None:
        return "mosquitto is not installed (Debian package mosquitto)"
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError:
        return "paho-mqtt is not installed (pip install 'paho-mqtt>=2.1')"
    return ""


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Broker:
    """A mosquitto that keeps its sessions and messages over a stop, as a shop's would, and a subscriber with a session of its own."""

    def __init__(self, place: Path, received: Received) -> None:
        self.port = free_port()
        self._config = place / "mosquitto.conf"
        self._config.write_text(
            f"user {getuser()}\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {place}/\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._received = received

    def start(self) -> None:
        """Serve, again. Raises BackendError if it does not within 30 s."""
        program = _mosquitto()
        assert program is not None  # the caller looked
        self._process = subprocess.Popen(
            [program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise BackendError("mosquitto does not serve")

    def stop(self) -> None:
        """As systemd would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Broker:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        self.start()
        lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        lasting.SessionExpiryInterval = 86_400
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "soak", protocol=mqtt.MQTTv5)
        subscribed = threading.Event()

        def subscribe(*_: object) -> None:
            self._client.subscribe("+/+/events/#", qos=1)

        self._client.on_connect = subscribe
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._received("mqtt", msgspec.json.decode(message.payload))
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", self.port, clean_start=False, properties=lasting)
        self._client.loop_start()
        if not subscribed.wait(_START_S):
            raise BackendError("mosquitto takes no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self.stop()


class WebhookReceiver:
    """Takes events, or, while it ``hangs``, takes the connection and never answers."""

    def __init__(self, received: Received) -> None:
        self._well = threading.Event()
        self._well.set()
        self._closing = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not receiver._well.is_set():
                    receiver._well.wait()
                    self.close_connection = True  # nobody waits for this answer any more: the same events come again
                    return
                for event in msgspec.json.decode(body)["events"]:
                    received("webhook", event)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def hang(self, *, hangs: bool) -> None:
        """Answer nobody, or everybody again."""
        (self._well.clear if hangs else self._well.set)()

    def __enter__(self) -> WebhookReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._well.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class BlockedPipe:
    """A pipe as small as can be, open for reading and never read: what is written to it blocks for ever."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._reader, _F_SETPIPE_SZ, _PIPE_BYTES)

    def close(self) -> None:
        """The reader leaves."""
        os.close(self._reader)
