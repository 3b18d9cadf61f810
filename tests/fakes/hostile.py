"""Cameras on loopback that do what no camera should: servers that answer by a script and keep what they heard."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from edge.errors import SourceError
from edge.sources import open_source
from edge.sources.base import SourceLimits

Script = Callable[[socket.socket], None]

H264_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=shelf\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
)


class Hostile:
    """Serves each connection with ``script`` in a thread of its own. ``heard``: all that was received, by ``listen``.

    ``tls``: certificate and key in PEM.
    """

    def __init__(self, script: Script, *, tls: tuple[Path, Path] | None = None) -> None:
        self._script = script
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self._context is not None and tls is not None:
            self._context.load_cert_chain(*tls)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard = bytearray()
        self.connections = 0
        self.closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Hostile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
            with client:
                self._script(client)
        except OSError:
            return  # the client went away, or did not trust the certificate

    def listen(self, client: socket.socket) -> bytes:
        """The next request's head; empty at the end."""
        request = b""
        while b"\r\n\r\n" not in request:
            more = client.recv(4096)
            if not more:
                return b""
            self.heard += more
            request += more
        return request


def http(answer: bytes | Callable[[bytes], bytes], then: Script | None = None, **more: object) -> Hostile:
    """Answers each request with these bytes; ``then`` may go on."""

    def script(client: socket.socket) -> None:
        request = server.listen(client)
        if request:
            client.sendall(answer if isinstance(answer, bytes) else answer(request))
            if then is not None:
                then(client)

    server = Hostile(script, **more)  # type: ignore[arg-type]
    return server


def multipart(content: bytes, boundary: bytes = b"b") -> bytes:
    """An answer with that behind its head."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=" + boundary + b"\r\n\r\n" + content


def rtsp(answers: dict[str, str | Callable[[str], str]], then: Script | None = None, **more: object) -> Hostile:
    """An RTSP camera that answers each method with ``answers``: status line and headers without CSeq, or what makes them of the request.

    What is not in it is answered as by a camera with H.264. ``then`` is called once PLAY was answered.
    """
    usual: dict[str, str | Callable[[str], str]] = {
        "OPTIONS": "RTSP/1.0 200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
        "DESCRIBE": described(H264_SDP),
        "SETUP": "RTSP/1.0 200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1",
        "PLAY": "RTSP/1.0 200 OK\r\nSession: 1",
    }
    said = usual | answers

    def script(client: socket.socket) -> None:
        while request := server.listen(client).decode():
            method = request.split(" ")[0]
            answer = said.get(method, "RTSP/1.0 501 Not Implemented")
            text = answer if isinstance(answer, str) else answer(request)
            cseq = next(line for line in request.split("\r\n") if line.lower().startswith("cseq"))
            first, _, rest = text.partition("\r\n")
            head, empty, body = rest.partition("\r\n\r\n")
            headers = f"{head}\r\n" if head else ""
            client.sendall(f"{first}\r\n{cseq}\r\n{headers}\r\n{body if empty else ''}".encode())
            if method == "PLAY" and then is not None:
                then(client)

    server = Hostile(script, **more)  # type: ignore[arg-type]
    return server


def described(sdp: str, length: int | None = None) -> str:
    """An answer to DESCRIBE."""
    size = len(sdp) if length is None else length
    return f"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: {size}\r\n\r\n{sdp}"


def certificate(place: Path, name: str, subject: str, *, days: int = 2) -> tuple[Path, Path]:
    """A self-signed certificate for ``subject`` (as in IP:127.0.0.1 or DNS:camera.example), and its key, by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    pem, key, request, more = (place / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
    more.write_text(f"subjectAltName={subject}\n")
    new = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}"]
    sign = ["openssl", "x509", "-req", "-in", request, "-signkey", key, "-days", days, "-extfile", more, "-out", pem]
    for command in (new, sign):
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return pem, key


def failure(server: Hostile, at: str, limits: SourceLimits) -> SourceError:
    """What becomes of a camera at the address ``at``, whose ``{}`` is the server's port, from opening to its end. The password in the
    address, "hush-hush", must not be in it."""
    with (
        server,
        pytest.raises(SourceError) as caught,
        open_source(at.format(server.port), timeout_ms=60_000, limits=limits) as source,
    ):
        for _ in source:
            pass
    assert "hush-hush" not in f"{caught.value} {caught.value.fix}"
    return caught.value
