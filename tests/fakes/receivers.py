"""Real receivers on loopback: a mosquitto broker with a subscriber, and an HTTP server that keeps what it was sent."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.patience import patience_s, wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """A mosquitto process; ``start`` and ``stop`` may be called many times, always on the same port.

    It stays the user of the tests, so that it can read their files.
    """

    def __init__(self, place: Path, settings: str = "allow_anonymous true\n") -> None:
        self._program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        if not Path(self._program).exists():
            pytest.skip("mosquitto is not installed (Debian package mosquitto)")
        self.port = free_port()
        self._config = place / "mosquitto.conf"
        self._config.write_text(f"user {getuser()}\nlistener {self.port} 127.0.0.1\n{settings}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", str(self._config)], stderr=subprocess.PIPE)
        wait_until(self._answers, "the broker listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def pause(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._process.stderr.read()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Subscriber:
    """A client that keeps every message of the broker from the moment it is made; it comes back after the broker does."""

    def __init__(self, port: int, *, tls: Any = None, username: str | None = None, password: str | None = None) -> None:
        client = pytest.importorskip("paho.mqtt.client")
        self.messages: list[Any] = []
        self.subscribed = threading.Event()
        self._client = client.Client(client.CallbackAPIVersion.VERSION2, "subscriber", protocol=client.MQTTv5)
        self._client.on_connect = lambda *_: self._client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.reconnect_delay_set(1, 1)
        if tls is not None:
            self._client.tls_set_context(tls)
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.connect("localhost" if tls else "127.0.0.1", port)
        self._client.loop_start()
        assert self.subscribed.wait(patience_s())

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(m.payload) for m in list(self.messages) if "/events/" in m.topic]

    def ids(self) -> list[str]:
        return [event["id"] for event in self.events()]

    def last(self, topic: str) -> Any:
        """The payload of the last message on this topic; None before the first."""
        return next((m.payload for m in reversed(list(self.messages)) if m.topic == topic), None)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class HttpReceiver:
    """Answers each POST with the next of ``answers`` (status, headers), or 204 when they are used up; keeps what it took."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.bodies: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                if 200 <= status < 300:
                    receiver.bodies.append(json.loads(body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def secure(self, context: Any) -> HttpReceiver:
        """Speak TLS."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        return self

    def ids(self) -> list[str]:
        return [event["id"] for body in self.bodies for event in body["events"]]

    def __enter__(self) -> HttpReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def make_certificates(place: Path) -> None:
    """An authority, and certificates that it signed, by openssl: ca, server (localhost), client; PLACE/NAME.pem and NAME.key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 checks by RFC 5280 to the letter
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority", *usage)
    for name, subject in (("server", "/CN=localhost"), ("client", "/CN=camera")):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        (place / "names.cnf").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names.cnf")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")


@contextmanager
def subscribed(broker: Broker, **more: Any) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port, **more)
    try:
        yield subscriber
    finally:
        subscriber.close()
