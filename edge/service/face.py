"""The camera's face to monitors: ``/metrics`` for Prometheus and ``/healthz`` as JSON, served beside the loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import msgspec

from edge.errors import ConfigError, SinkError
from edge.service.metrics import Exposition
from edge.service.vitals import Health

CLIENT_TIMEOUT_S = 5.0
_JSON = "application/json"


class Face:
    """Serves until it is closed; a context manager.

    Args:
        listen: HOST:PORT; an IPv6 address in brackets. Port 0 takes a free one (see ``port``).
        health: judges the camera now; called in the server's threads.
        exposition: makes the text of /metrics.

    Raises:
        ConfigError: ``listen`` is no address of this machine, or its port is out of range.
        SinkError: the port is taken.
    """

    def __init__(self, listen: str, health: Callable[[], Health], exposition: Exposition) -> None:
        host, _, port = listen.rpartition(":")
        self._listen = listen
        self._address = (host.strip("[]"), int(port))
        self._health, self._exposition = health, exposition

    def __enter__(self) -> Face:
        self._server = self._bind()
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _bind(self) -> ThreadingHTTPServer:
        face = self

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in face._address[0] else socket.AF_INET
            daemon_threads = True
            block_on_close = False  # a monitor that reads slowly does not hold up the end

        class Handler(BaseHTTPRequestHandler):
            timeout = CLIENT_TIMEOUT_S

            def do_GET(self) -> None:
                status, kind, body = face._answer(self.path.partition("?")[0])
                with suppress(ConnectionError, TimeoutError):  # the monitor went away: its matter
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
                pass  # a scrape every 15 s is no news

        try:
            return Server(self._address, Handler)
        except (socket.gaierror, OverflowError) as error:
            raise ConfigError(f"metrics.listen: {self._listen}: {error}", fix="use an address of this machine") from error
        except OSError as error:
            what = f"metrics.listen: {self._listen}: {error.strerror or error}"
            raise SinkError(what, fix="give each camera of this machine its own port") from error

    def _answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            return HTTPStatus.OK, self._exposition.content_type, self._exposition.text()
        if path == "/healthz":
            health = self._health()
            good = health.ready and health.healthy
            return HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, _JSON, msgspec.json.encode(health) + b"\n"
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"/metrics and /healthz\n"
