"""The webhook sink against a real HTTP server: signature, batches, answers, TLS, connections that break."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.sink_config import WebhookConfig
from edge.sinks.base import DeliveryError, RefusedError, SinkSite
from edge.sinks.webhook import Webhook
from tests.fakes.events import make_event
from tests.fakes.patience import patience_s
from tests.fakes.receivers import HttpReceiver, make_certificates

SITE = SinkSite("cam", durable=True)
EVENTS = [make_event(number) for number in range(1, 8)]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as running:
        yield running


def sink_for(receiver: HttpReceiver, **more) -> Webhook:
    return Webhook(WebhookConfig(url=f"http://127.0.0.1:{receiver.port}/hook?key=abc", **more), SITE)


def test_a_request_is_signed_dated_and_says_what_it_holds(receiver: HttpReceiver, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "token").write_text("t0ken\n")
    config = {"secret_file": str(tmp_path / "secret"), "token_file": str(tmp_path / "token")}
    sink = Webhook(WebhookConfig(url=f"http://127.0.0.1:{receiver.port}/hook?key=abc", **config), SITE, lambda: 1_700_000_000.9)
    assert sink.write(EVENTS) == 7
    path, headers, body = receiver.requests[0]
    assert path == "/hook?key=abc"
    assert headers["X-Shelfcam-Timestamp"] == "1700000000"
    expected = hmac.new(b"s3cret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["X-Shelfcam-Signature"] == f"sha256={expected}"
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Idempotency-Key"] == f"{EVENTS[0].id}..{EVENTS[6].id}"
    assert headers["Content-Type"] == "application/json"
    assert (receiver.bodies[0]["schema"], receiver.bodies[0]["camera"]) == (1, "cam")
    assert receiver.ids() == [event.id for event in EVENTS]
    (tmp_path / "secret").write_text("other\n")
    sink.write(EVENTS[:1])
    _, headers, body = receiver.requests[1]
    assert headers["X-Shelfcam-Signature"].endswith(hmac.new(b"other", b"1700000000." + body, hashlib.sha256).hexdigest())
    (tmp_path / "secret").unlink()
    with pytest.raises(DeliveryError, match="secret_file"):
        sink.write(EVENTS[:1])
    sink.close()


@pytest.mark.parametrize("bad", [b"a\rX-Evil: 1", b"a\0", b"", b"\xff", b"x" * 5_000])
def test_a_token_that_turns_bad_under_the_service_is_tried_again(receiver: HttpReceiver, tmp_path: Path, bad: bytes) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"g\xc3\xb6\xc3\xb6d\r\n")
    sink = sink_for(receiver, token_file=str(token))
    assert sink.write(EVENTS[:1]) == 1
    assert receiver.requests[0][1]["Authorization"].encode("latin-1") == b"Bearer g\xc3\xb6\xc3\xb6d"
    token.write_bytes(bad)
    with pytest.raises(DeliveryError, match=f"token_file {token}") as caught:
        sink.write(EVENTS[:1])
    assert caught.value.fix
    assert len(receiver.requests) == 1
    token.write_bytes(b"other")
    assert sink.write(EVENTS[:1]) == 1
    assert receiver.requests[1][1]["Authorization"] == "Bearer other"
    sink.close()


def test_an_address_in_a_file_is_followed_when_it_changes(receiver: HttpReceiver, tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text(f"http://127.0.0.1:{receiver.port}/api/webhook/first?x=1\n")
    config = WebhookConfig(url_file=str(file))
    sink = Webhook(config, SITE)
    assert "first" not in sink.label + config.where + repr(config)
    with HttpReceiver() as second:
        assert sink.write(EVENTS[:1]) == 1
        file.write_text(f"http://127.0.0.1:{second.port}/api/webhook/second\n")
        assert sink.write(EVENTS[1:2]) == 1
        file.write_text("http://me:pw@127.0.0.1/\n")
        with pytest.raises(DeliveryError, match="url_file"):
            sink.write(EVENTS[:1])
        assert [receiver.requests[0][0], second.requests[0][0]] == ["/api/webhook/first?x=1", "/api/webhook/second"]
    sink.close()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "host/x",
        "ftp://h/",
        "http://me:pw@h/",
        "http://h:x/",
        "http://h:99999/",
        "http://h/ x",
        "http://h/é",
        "http:///x",
        "http://[x/",
    ],
)
def test_a_file_without_an_address_is_a_config_error_that_quotes_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "url"
    file.write_text(content)
    with pytest.raises(ConfigError, match=f"url_file {file}") as caught:
        Webhook(WebhookConfig(url_file=str(file)), SITE)
    assert not content or content not in f"{caught.value} {caught.value.fix}"


def test_an_address_stands_in_the_config_or_in_a_file() -> None:
    for both in ({}, {"url": "http://h/", "url_file": "f"}):
        with pytest.raises(ValueError, match="either url or url_file"):
            WebhookConfig(**both)


def test_batches_have_a_limit_and_share_a_connection(receiver: HttpReceiver) -> None:
    sink = sink_for(receiver, max_batch=3)
    assert [sink.write(EVENTS), sink.write(EVENTS[3:]), sink.write(EVENTS[6:])] == [3, 3, 1]
    sink.close()
    assert [len(body["events"]) for body in receiver.bodies] == [3, 3, 1]


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
def test_later_is_tried_again(receiver: HttpReceiver, status: int) -> None:
    sink = sink_for(receiver)
    receiver.answers = [(status, {"Retry-After": "7"})]
    with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
        sink.write(EVENTS)
    assert caught.value.retry_after_s == 7
    assert sink.write(EVENTS) == 7
    sink.close()


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 422])
def test_no_is_a_refusal(receiver: HttpReceiver, status: int) -> None:
    sink = sink_for(receiver, max_batch=5)
    receiver.answers = [(status, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(RefusedError, match=f"answered {status}") as caught:
        sink.write(EVENTS)
    assert caught.value.count == 5
    assert "abc" not in str(caught.value), "the query may hold a token"
    sink.close()


def test_a_server_that_stalls_or_breaks_off_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sink = Webhook(WebhookConfig(url=f"http://127.0.0.1:{port}/", timeout_ms=300), SITE)
        with pytest.raises(DeliveryError, match="timed out"):
            sink.write(EVENTS)

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                connection.close()

        closer = threading.Thread(target=hang_up)
        closer.start()
        sink = Webhook(WebhookConfig(url=f"http://127.0.0.1:{port}/"), SITE)
        with pytest.raises(DeliveryError):
            sink.write(EVENTS)
        closer.join(patience_s())
        sink.close()


@contextmanager
def dripping(*drops: bytes, head: bytes = b"", deaf: bool = False) -> Iterator[int]:
    """The port of a server that says ``head`` and then ``drops`` over and over, one each 50 ms, as long as anybody listens. ``deaf``: it
    reads nothing."""
    ending = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(patience_s())
            if not deaf:
                connection.recv(1 << 20)
            connection.sendall(head)
            for drop in cycle(drops or (b"",)):
                if ending.wait(0.05):
                    return
                connection.sendall(drop)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    server = socket.socket()
    if deaf:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.bind(("127.0.0.1", 0))
    server.listen()
    threads = [threading.Thread(target=accept, args=(server,))]
    threads[0].start()
    try:
        yield server.getsockname()[1]
    finally:
        ending.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        for thread in threads:
            thread.join(patience_s())


def ends_by_itself(sink: Webhook, events: list, match: str) -> None:
    """A write, in a thread: with a time-out that counts anew with every byte it would never return."""
    faults: list[BaseException] = []

    def write() -> None:
        try:
            sink.write(events)
        except DeliveryError as error:
            faults.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(patience_s())
    assert not writer.is_alive(), "the server holds it"
    assert match in str(faults[0])
    closer = threading.Thread(target=sink.close, daemon=True)
    closer.start()
    closer.join(patience_s())
    assert not closer.is_alive()


OK = b"HTTP/1.1 200 OK\r\n"
DRIPS = {
    "a status line": ((b"H",), b""),
    "headers": ((b"x",), OK + b"X-Long: "),
    "one header after the other": ((b"x: 1\r\n",), OK),
    "continue after continue": ((b"HTTP/1.1 100 Continue\r\n\r\n",), b""),
    "a body": ((b"x",), OK + b"Content-Length: 60000\r\n\r\n"),
    "chunks": ((b"1\r\nx\r\n",), OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "the size of a chunk": ((b"0",), OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "a body without an end": ((b"x",), OK + b"\r\n"),
    "nothing": ((), b""),
}


@pytest.mark.parametrize("what", DRIPS)
def test_a_server_that_drips_ends_with_the_time_of_a_try(what: str) -> None:
    drops, head = DRIPS[what]
    with dripping(*drops, head=head) as port:
        sink = Webhook(WebhookConfig(url=f"http://127.0.0.1:{port}/", timeout_ms=300), SITE)
        ends_by_itself(sink, EVENTS, "")


def test_a_server_that_reads_nothing_ends_with_the_time_of_a_try() -> None:
    with dripping(deaf=True) as port:
        sink = Webhook(WebhookConfig(url=f"http://127.0.0.1:{port}/", timeout_ms=500), SITE)
        ends_by_itself(sink, [make_event(number, label="x" * 300_000) for number in range(1, 100)], "timed out")


@pytest.mark.parametrize("head", [b"", b"\x16\x03\x03\x40\x00"], ids=["silent", "a record that does not end"])
def test_a_tls_handshake_that_drips_ends_with_the_time_of_a_try(head: bytes) -> None:
    with dripping(b"\x02", head=head) as port:
        sink = Webhook(WebhookConfig(url=f"https://127.0.0.1:{port}/", timeout_ms=300), SITE)
        ends_by_itself(sink, EVENTS, "")


def test_an_answer_that_drips_through_tls_ends_with_the_time_of_a_try(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    ending = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1 << 16)
            secured.sendall(OK)
            while not ending.wait(0.05):
                secured.sendall(b"x: 1\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}/"
        sink = Webhook(WebhookConfig(url=url, ca_file=str(tmp_path / "ca.pem"), timeout_ms=5_000), SITE)
        ends_by_itself(sink, EVENTS, "")
        ending.set()
        thread.join(patience_s())


def test_a_name_server_that_does_not_answer_ends_with_the_time_of_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ending.wait(patience_s()) and [])
    sink = Webhook(WebhookConfig(url="http://shop.example/", timeout_ms=200), SITE)
    ends_by_itself(sink, EVENTS, "could not be looked up")
    ending.set()


def test_a_connection_that_is_used_again_has_the_whole_time_again(receiver: HttpReceiver) -> None:
    sink = sink_for(receiver, timeout_ms=60_000)
    sink.write(EVENTS)
    first = sink._connection.sock
    ended_s = first.ends_s
    sink.write(EVENTS)
    assert sink._connection.sock is first
    assert first.ends_s > ended_s
    sink.close()


def test_tls_checks_the_server(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with HttpReceiver().secure(context) as receiver:
        url = f"https://localhost:{receiver.port}/"
        sink = Webhook(WebhookConfig(url=url, ca_file=str(tmp_path / "ca.pem")), SITE)
        assert sink.write(EVENTS) == 7
        sink.close()
        with pytest.raises(DeliveryError, match="certificate"):
            Webhook(WebhookConfig(url=url), SITE).write(EVENTS)


def test_a_secret_that_is_missing_or_empty_is_a_config_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name in ("none", "empty"):
        with pytest.raises(ConfigError, match=f"secret_file {tmp_path}/{name}"):
            Webhook(WebhookConfig(url="http://localhost/", secret_file=str(tmp_path / name)), SITE)
