"""Strangers at the metrics port: slow ones, many, malformed ones, and pages that come under another name."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from edge.config import DeviceConfig, MetricsConfig, load_config
from edge.errors import ConfigError
from edge.monitor import http as faces
from edge.monitor.http import HEAD_BYTES, MOST_CLIENTS, HttpEndpoint
from tests.fakes.patience import patience_s, slowness, wait_until

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class FakeExposition:
    """Some text; each call waits for ``gate``."""

    content_type = "text/plain; version=0.0.4"

    def __init__(self, size: int = 100) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.size = size
        self.fault: Exception | None = None

    def text(self) -> bytes:
        self.gate.wait(patience_s())
        if self.fault is not None:
            raise self.fault
        return b"x" * self.size


@contextmanager
def served(
    exposition: FakeExposition | None = None, listen: str = "127.0.0.1:0", hosts: tuple[str, ...] = ()
) -> Iterator[HttpEndpoint]:
    with HttpEndpoint(listen, None, exposition or FakeExposition(), hosts) as endpoint:
        yield endpoint


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients have so much time that a busy machine takes none away."""
    monkeypatch.setattr(faces, "CLIENT_TIMEOUT_S", 600.0)


def connect(endpoint: HttpEndpoint, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, endpoint.port), timeout=patience_s())


def ask(endpoint: HttpEndpoint, request: bytes, host: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
    """(Status, headers by small letters, body); status 0: closed without a word."""
    with connect(endpoint, host) as client:
        client.sendall(request)
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *headers = head.decode("latin-1").split("\r\n")
    fields = dict(header.lower().split(": ", 1) for header in headers)
    return int(line.split(" ")[1]) if line else 0, fields, body


def get(endpoint: HttpEndpoint, host: str, path: str = "/metrics") -> int:
    return ask(endpoint, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))[0]


def closed(client: socket.socket) -> bool:
    """Whether the other side has hung up."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_hundreds_of_slow_clients_hold_no_thread_and_shut_nobody_out(patient: None) -> None:
    before = threading.active_count()
    with served() as endpoint, ExitStack() as stack:
        slow = []
        for number in range(400):
            slow.append(stack.enter_context(connect(endpoint)))
            slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: "[: 1 + number % 40])
        assert ask(endpoint, SCRAPE)[0] == 200, "who asks is answered"
        wait_until(lambda: sum(map(closed, slow)) >= 400 - MOST_CLIENTS, "the slowest are sent away")
        assert threading.active_count() <= before + 2
        assert ask(endpoint, SCRAPE)[0] == 200
    wait_until(lambda: threading.active_count() == before, "nothing is left of it")


def test_a_client_has_a_time_for_its_whole_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "CLIENT_TIMEOUT_S", 0.3)
    with served() as endpoint, connect(endpoint) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n")

        def dripped() -> bool:
            try:
                client.setblocking(True)
                client.sendall(b"X: y\r\n")
            except ConnectionError:
                return True
            return closed(client)

        wait_until(dripped, "it drips on and on, and is sent away")


def test_a_client_that_reads_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "CLIENT_TIMEOUT_S", 0.3)
    with served(FakeExposition(50_000_000)) as endpoint, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(patience_s())
        client.connect(("127.0.0.1", endpoint.port))
        client.sendall(SCRAPE)
        wait_until(lambda: endpoint._clients, "it is let in")
        wait_until(lambda: not endpoint._clients, "it is sent away")
        monkeypatch.setattr(faces, "CLIENT_TIMEOUT_S", 600.0)
        assert len(ask(endpoint, SCRAPE)[2]) == 50_000_000, "one that reads gets everything"


def test_metrics_that_wait_for_the_disk_do_not_hold_up_health_or_the_end(patient: None) -> None:
    exposition = FakeExposition()
    exposition.gate.clear()
    with served(exposition) as endpoint, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(endpoint)).sendall(SCRAPE)
        assert get(endpoint, "localhost", "/other") == 404
    exposition.gate.set()


def test_metrics_that_cannot_be_read_are_an_answer_without_details(patient: None) -> None:
    exposition = FakeExposition()
    exposition.fault = OSError("/secret/path")
    with served(exposition) as endpoint:
        status, _, body = ask(endpoint, SCRAPE)
        assert (status, body) == (500, b"Internal Server Error\n")
        exposition.fault = None
        assert ask(endpoint, SCRAPE)[0] == 200


def test_an_answer_says_what_a_browser_may_do_with_it_and_not_who_gives_it(patient: None) -> None:
    with served() as endpoint:
        for path in ("/metrics", "/other"):
            _, headers, _ = ask(endpoint, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["connection"] == "close"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(headers)
        status, headers, body = ask(endpoint, SCRAPE.replace(b"GET", b"HEAD"))
        assert (status, headers["content-length"], body) == (200, "100", b"")
        assert ask(endpoint, SCRAPE.replace(b"/metrics", b"/metrics?x=1"))[0] == 200
        twice = ask(endpoint, SCRAPE + SCRAPE)[2]
        assert twice == b"x" * 100, "one request a connection"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PRI", "FROB"])
def test_only_reading_is_answered(method: str, patient: None) -> None:
    with served() as endpoint:
        status, headers, _ = ask(endpoint, SCRAPE.replace(b"GET", method.encode()))
        assert (status, headers["allow"]) == (405, "get, head")


MALFORMED = {
    "nonsense": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no version": b"GET /metrics\r\n\r\n",
    "an old version": b"GET /metrics HTTP/0.9\r\n\r\n",
    "a new version": b"GET /metrics HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "small letters": b"get /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another site's address": b"GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address without a path": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a control character": b"GET /met\x00rics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a letter that is none": b"GET /\xffmetrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a lone line feed": b"GET /metrics HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "a lone carriage return": b"GET /metrics HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
    "a header without a colon": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n",
    "a space before the colon": b"GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a folded header": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n evil.example\r\n\r\n",
    "no host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET /metrics HTTP/1.0\r\nHost: localhost\r\nhost: evil.example\r\n\r\n",
    "too many headers": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a long path": b"GET /" + b"x" * 2_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_plain_request_is_refused(what: str, patient: None) -> None:
    with served() as endpoint:
        assert ask(endpoint, MALFORMED[what])[0] == 400
        assert ask(endpoint, SCRAPE)[0] == 200


def test_a_head_costs_no_more_than_its_length() -> None:
    """While it is taken apart, no other thread gets on."""
    begun_s = time.process_time()
    for _ in range(100):
        with pytest.raises(faces._NoRequestError):
            faces._parse(b"GET / HTTP/1.1\r\na:" + b" " * (HEAD_BYTES - 100) + b"\1\r\n\r\n")
    assert time.process_time() - begun_s < 5 * slowness()


def test_a_head_has_a_limit(patient: None) -> None:
    with served() as endpoint:
        assert ask(endpoint, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * HEAD_BYTES + b"\r\n\r\n")[0] == 431
        with connect(endpoint) as client:
            status = 0
            try:
                for _ in range(1_000):
                    client.sendall(b"y" * 100_000)
            except ConnectionError:
                status = 431
            assert status == 431, "one that never ends is not read to its end"


GOOD = [
    "localhost",
    "LOCALHOST",
    "localhost:9090",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.1.2.3",
    "[::1]",
    "[0:0::1]:80",
]
EVIL = [
    "evil.example",
    "evil.example:9090",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "localhost@evil.example",
    "evil.example localhost",
    "evil.example,localhost",
    "localhost/evil",
    "192.0.2.1",
    "10.0.0.1:9090",
    "[2001:db8::1]",
    "[::ffff:192.0.2.1]",
    "0x7f.1",
    "",
    "[",
    "[]",
    ":80",
    "localhost:",
    "localhost:port",
    "localhost\x85evil",
    "l\xf6calhost",
]


def test_a_page_under_another_name_reads_nothing(patient: None) -> None:
    with served() as endpoint:
        assert {host: get(endpoint, host) for host in GOOD} == dict.fromkeys(GOOD, 200)
        assert {host: get(endpoint, host) for host in EVIL} == dict.fromkeys(EVIL, 421)
        body = ask(endpoint, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n")[2]
        assert b"[metrics] hosts" in body, "the fix"
        assert ask(endpoint, b"GET /metrics HTTP/1.0\r\n\r\n")[0] == 200
        assert ask(endpoint, b"GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n")[0] == 421


def test_names_that_the_site_lists_and_the_address_that_was_reached_are_good(patient: None) -> None:
    with served(listen="0.0.0.0:0", hosts=("Shelf-1.shop.example",)) as endpoint:
        assert get(endpoint, "shelf-1.shop.example:9090") == 200
        assert get(endpoint, "shelf-2.shop.example") == 421
        assert ask(endpoint, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n", host="127.0.0.2")[0] == 200


def test_an_ipv6_address_is_served_where_there_is_one(patient: None) -> None:
    try:
        with served(listen="[::1]:0") as endpoint:
            assert ask(endpoint, b"GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n", host="::1")[0] == 200
    except Exception as error:
        if "assign" in str(error) or "not supported" in str(error):
            pytest.skip("there is no IPv6 here")
        raise


@pytest.mark.parametrize("host", ["", "a b", "a/b", "http://a", "*", "a:80", "[::1]", "x" * 300])
def test_a_listed_name_that_is_none_is_a_config_error(tmp_path, host: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(f'config_version = 1\n[metrics]\nhosts = ["{host}"]\n')
    with pytest.raises(ConfigError, match="hosts"):
        load_config(path)


def test_a_site_without_names_has_none() -> None:
    assert DeviceConfig(config_version=1, metrics=MetricsConfig()).metrics.hosts == ()
