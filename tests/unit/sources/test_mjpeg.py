"""Cameras over HTTP that lie, send on, drip and never end; and the parser of their parts, by itself."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import re
import socket
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import Clock
from edge.config import CameraConfig
from edge.data import Frame
from edge.errors import ConfigError, SourceError
from edge.site import open_camera
from edge.sources import open_source
from edge.sources.base import SourceLimits, Trust
from edge.sources.http import Chunked, Feed
from edge.sources.multipart import MAX_PART_BYTES, Multipart
from edge.sources.wire import MessageError
from tests.fakes import hostile
from tests.fakes.hostile import Hostile, certificate, http, multipart
from tests.fakes.mjpeg import MjpegServer
from tests.fakes.patience import patience_s

PATIENT = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=60_000)
HASTY = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=800)


def jpeg(shade: int = 200, size_hw: tuple[int, int] = (48, 64)) -> bytes:
    return cv2.imencode(".jpg", np.full((*size_hw, 3), (0, 0, shade), np.uint8))[1].tobytes()


def part(content: bytes, *headers: str, length: object = None) -> bytes:
    lines = ["--b", "Content-Type: image/jpeg", *headers, f"Content-Length: {len(content) if length is None else length}"]
    return "\r\n".join([*lines, "", ""]).encode() + content + b"\r\n"


def failure(
    server: Hostile, *, limits: SourceLimits = PATIENT, at: str = "http://me:hush-hush@127.0.0.1:{}/video"
) -> SourceError:
    return hostile.failure(server, at, limits)


def frames_of(server: Hostile, count: int, limits: SourceLimits = PATIENT) -> list[Frame]:
    with server, open_source(f"http://127.0.0.1:{server.port}/", timeout_ms=60_000, limits=limits) as source:
        return [tick for _, tick in zip(range(count), (t for t in source if isinstance(t, Frame)), strict=False)]


def feed(content: bytes, piece: int = 7) -> Feed:
    stream = io.BytesIO(content)

    def read_into(view: memoryview) -> int:
        return stream.readinto(view[:piece])

    return Feed(read_into)


# The password goes to nobody else.


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_redirect_is_not_followed_and_says_where_it_points(status, host):
    with http(multipart(b"")) as other:
        away = f"http://{host}:{other.port}/a?token=hush-hush"
        error = failure(http(f"HTTP/1.1 {status} Moved\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n".encode()))
        assert f"sends on to http://{host}:{other.port}/a ({status}), which is not followed" in str(error)
        assert "write that address" in (error.fix or "")
        assert other.connections == 0


@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Digest realm="x", nonce="n", qop="auth"'])
def test_a_redirect_after_the_password_was_sent_is_not_followed_either(challenge):
    with http(multipart(b"")) as other:

        def answer(request: bytes) -> bytes:
            if b"authorization" not in request.lower():
                return f"HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\n\r\n".encode()
            return f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other.port}/\r\n\r\n".encode()

        assert "which is not followed" in str(failure(http(answer)))
        assert other.connections == 0


def test_credentials_are_not_sent_before_a_camera_asks_and_digest_never_shows_them():
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request.lower())
        if len(seen) == 1:
            both = b'WWW-Authenticate: Basic realm="x"\r\nWWW-Authenticate: Digest realm="x", nonce="n", qop="auth"'
            return b"HTTP/1.1 401 No\r\n" + both + b"\r\n\r\n"
        return multipart(part(jpeg()))

    assert "the stream ended" in str(failure(http(answer)))
    assert b"authorization" not in seen[0]
    assert b"authorization: digest" in seen[1]
    for secret in (b"hush-hush", base64.b64encode(b"me:hush-hush").lower()):
        assert secret not in b"".join(seen)


def test_a_camera_that_asked_for_digest_does_not_get_the_password_itself_later():
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request.lower())
        scheme = b'Digest realm="x", nonce="n"' if len(seen) < 3 else b'Basic realm="x"'
        return b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + scheme + b"\r\n\r\n"

    server, where = http(answer), "http://me:hush-hush@127.0.0.1:{}/video"
    with server:
        for words in ("refuses user and password", "which it does not get"):
            with (
                pytest.raises(SourceError, match=words),
                open_source(where.format(server.port), timeout_ms=60_000, limits=PATIENT) as source,
            ):
                next(iter(source))
    assert len(seen) == 3
    assert base64.b64encode(b"me:hush-hush").lower() not in b"".join(seen)


def test_a_password_in_plain_text_is_warned_of_once(caplog):
    with (
        MjpegServer(lambda _: np.zeros((48, 64, 3), np.uint8), login="me:hush-hush") as server,
        caplog.at_level(logging.WARNING),
    ):
        for _ in range(2):
            with open_source(server.url.replace("//", "//me:hush-hush@"), timeout_ms=60_000, limits=PATIENT) as source:
                assert isinstance(next(iter(source)), Frame)
    assert caplog.text.count("wants its password in plain text") == 1
    assert "hush-hush" not in caplog.text


def test_a_wrong_password_is_tried_once():
    server = http(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\r\n")
    assert "refuses user and password (401)" in str(failure(server))
    assert server.connections == 2


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    with http(b"HTTP/1.1 500 No\r\n\r\n") as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert frames_of(http(multipart(part(jpeg()))), 1)
        assert proxy.connections == 0


# Certificates.


@pytest.mark.parametrize(
    ("subject", "days", "word"),
    [
        ("IP:127.0.0.1", 2, "self-signed|self signed"),
        ("DNS:camera.example", 2, "not trusted"),
        ("IP:127.0.0.1", 0, "expired|self"),
    ],
)
def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_password(tmp_path, subject, days, word):
    server = http(multipart(part(jpeg())), tls=certificate(tmp_path, "camera", subject, days=days))
    error = failure(server, at="https://me:hush-hush@127.0.0.1:{}/")
    assert re.search(word, str(error))
    assert "ca_file" in error.fix
    assert "insecure" in error.fix
    assert server.heard == b""


@pytest.mark.parametrize(
    ("subject", "days", "taken", "word"),
    [
        ("IP:127.0.0.1", 2, True, ""),
        ("DNS:camera.example", 2, False, "IP address mismatch|hostname"),
        ("IP:127.0.0.1", 0, False, "expired"),
    ],
)
def test_a_certificate_that_the_site_vouches_for_must_still_fit(tmp_path, subject, days, taken, word):
    pem, key = certificate(tmp_path, "camera", subject, days=days)
    time.sleep(0 if days else 1.5)  # until the certificate of no days has expired
    trust = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=60_000, trust=Trust(str(pem)))
    server = http(multipart(part(jpeg())), tls=(pem, key))
    error = failure(server, limits=trust, at="https://127.0.0.1:{}/")
    assert ("the stream ended" in str(error)) == taken
    assert re.search(word, str(error))
    assert (server.heard != b"") == taken


def test_another_certificate_than_the_one_vouched_for_is_refused(tmp_path):
    pem, _ = certificate(tmp_path, "camera", "IP:127.0.0.1")
    limits = SourceLimits(open_timeout_ms=60_000, trust=Trust(str(pem)))
    server = http(multipart(part(jpeg())), tls=certificate(tmp_path, "other", "IP:127.0.0.1"))
    assert "not trusted" in str(failure(server, limits=limits, at="https://me:hush-hush@127.0.0.1:{}/"))
    assert server.heard == b""


def test_insecure_takes_any_certificate_by_the_sites_word(tmp_path):
    limits = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=60_000, trust=Trust(insecure=True))
    server = http(multipart(part(jpeg())), tls=certificate(tmp_path, "camera", "DNS:camera.example"))
    assert "the stream ended" in str(failure(server, limits=limits, at="https://127.0.0.1:{}/"))


def test_the_config_says_whom_to_trust_and_a_file_that_is_no_certificate_is_named(tmp_path):
    pem, key = certificate(tmp_path, "camera", "IP:127.0.0.1")
    with http(multipart(part(jpeg())), tls=(pem, key)) as server:
        camera = CameraConfig(
            source=f"https://127.0.0.1:{server.port}/", ca_file=str(pem), timeout_ms=60_000, open_timeout_ms=60_000
        )
        with open_camera(camera, Clock()) as source:
            assert isinstance(next(iter(source)), Frame)
    for bad in (tmp_path / "absent", key):
        with pytest.raises(ConfigError, match=r"ca_file .*" + re.escape(bad.name)):
            open_camera(CameraConfig(source="https://127.0.0.1/", ca_file=str(bad)), Clock())


# What is no stream of pictures.


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.apple.mpegurl",
        "application/x-mpegURL; charset=utf-8",
        "audio/mpegurl",
        "video/mp2t",
        "video/mp4",
        "x/y",
        "",
    ],
)
@pytest.mark.parametrize("head", ["", "Content-Length: {}\r\n", "Transfer-Encoding: chunked\r\n"])
def test_a_playlist_makes_no_request(kind, head):
    with http(b"HTTP/1.1 200 OK\r\n\r\n") as inside:
        url = f"http://127.0.0.1:{inside.port}/admin"
        body = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n".encode()
        if "chunked" in head:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{head.format(len(body))}\r\n".encode() + body
        error = failure(http(answer))
        assert "stream" in str(error)
        assert inside.connections == 0


@pytest.mark.parametrize(
    ("begins", "named"),
    [
        ("#EXTM3U\n{}", "HLS"),
        ("\ufeff#EXTM3U\n{}", "HLS|text"),
        ("\n\n#EXTM3U\n{}", "HLS"),
        ("<MPD>{}</MPD>" + " " * 20, "DASH"),
        ("v=0\r\no=- 0 0 IN IP4 1.1.1.1\r\n{}", "SDP"),
        ("ffconcat version 1.0\nfile {}", "concat"),
        ("<ASX version=3><ENTRY><REF HREF={}>", "XML"),
        ("[Reference]\nRef1={}\nRef2=xxxxxxxx", "text"),
        ("", "formats|stream"),
        ("\x00\x01#EXTM3U\n{}", "formats|stream"),
    ],
)
@pytest.mark.parametrize("kind", ["video/mp2t", "application/octet-stream"])
def test_lists_and_pages_under_any_name_make_no_request(begins, named, kind):
    with http(b"HTTP/1.1 200 OK\r\n\r\n") as inside:
        body = begins.format(f"http://127.0.0.1:{inside.port}/").encode()
        error = failure(http(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode() + body))
        assert re.search(named, str(error)), error
        assert inside.connections == 0


def test_a_playlist_in_the_parts_makes_no_request_and_ends():
    with http(b"HTTP/1.1 200 OK\r\n\r\n") as inside:
        playlist = f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{inside.port}/\n".encode()
        assert "cannot be decoded" in str(failure(http(multipart(part(playlist) * 60))))
        assert inside.connections == 0


@pytest.mark.parametrize("packed", ["Content-Encoding: gzip", "Content-Encoding: br", "Transfer-Encoding: gzip, chunked"])
def test_a_packed_answer_is_refused(packed):
    bomb = zlib.compress(part(jpeg()) * 1000, 9)
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n{packed}\r\n\r\n".encode() + bomb
    assert "packs" in str(failure(http(answer)))


def test_a_single_picture_is_told_from_a_stream():
    content = jpeg()
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
    assert "a single picture" in str(failure(http(answer)))


@pytest.mark.parametrize(
    "answer",
    [
        b"ICY 200 OK\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n", b"HTTP/1.1 2OO OK\r\n\r\n", b"",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 404 No\r\n\r\n",
    ],
)  # fmt: skip
def test_any_other_answer_is_an_error_of_the_camera(answer):
    assert "no stream comes from there" in str(failure(http(answer)))


# Too much, too long, too slow.


@pytest.mark.parametrize(
    "length",
    [2**62, 2**63, 2**64 - 1, 10**30, -1, -(2**63), "0x7fffffff", "1e9", "", MAX_PART_BYTES + 1, "5\r\nContent-Length: 6"],
)
def test_a_part_that_announces_too_much_is_refused_before_it_is_read(length):
    endless = lambda client: [client.sendall(b"\xff" * 65536) for _ in range(10_000)]  # noqa: E731
    error = failure(http(multipart(part(jpeg()) + part(b"", length=length)), endless))
    assert "Content-Length" in str(error)


def forever(piece: bytes):
    def send(client: socket.socket) -> None:
        while True:
            client.sendall(piece * 1000)

    return send


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (multipart(b""), b"x" * 64),
        (multipart(b""), b"x: y\r\n"),
        (multipart(b""), b"--"),
        (multipart(b"--b\r\n"), b"X-A: " + b"b" * 59),
        (multipart(b"--b\r\n"), b"a: b\r\n"),
        (multipart(b"--b\r\nContent-Type: image/jpeg\r\n\r\n"), b"\xff\xd8" + b"y" * 62),
        (multipart(b"--b\r\nContent-Type: image/jpeg\r\n\r\n"), b"\r\n--a"),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"bbbbbb"),
        (b"HTTP/1.1 200 ", b"bbbbbb"),
        (multipart(b"").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"), b"1" * 64),
        (multipart(b"").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n1;"), b"x" * 64),
    ],
)
def test_what_never_ends_is_given_up(begin, piece):
    error = failure(http(begin, forever(piece)))
    assert "longer than" in str(error) or "no part begins" in str(error) or "more than" in str(error)


@pytest.mark.parametrize("size", [b"-1", b"-5", b"ffffffffffffffffff", b"0x10", b" ", b"1_0"])
def test_a_chunk_of_no_size_is_refused(size):
    head = multipart(b"").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert "chunk" in str(failure(http(head + size + b"\r\n", forever(b"x" * 64))))


def test_an_endless_boundary_is_refused():
    assert "boundary" in str(failure(http(multipart(b"", b"b" * 5000))))


@pytest.mark.parametrize(
    "begin", [multipart(b""), multipart(b"--b\r\nContent-Length: 9999\r\n\r\n\xff\xd8"), multipart(b"--b\r\nX: ")]
)
def test_a_drip_does_not_hold_a_part_for_ever(begin):
    def drip(client: socket.socket) -> None:
        while not server.closing.wait(0.05):
            client.sendall(b"\xff")

    server = http(begin, drip)
    assert "the stream stalled: no whole picture came for 800 ms" in str(failure(server, limits=HASTY))


def test_a_dripping_head_is_given_up_after_open_timeout_ms_and_its_thread_ends():
    def drip(client: socket.socket) -> None:
        while not server.closing.wait(0.05):
            client.sendall(b"x")

    with http(b"HTTP/1.1 200 OK\r\nA: ", drip) as server:
        source = open_source(f"http://127.0.0.1:{server.port}/", timeout_ms=1000, limits=SourceLimits(open_timeout_ms=500))
        with pytest.raises(SourceError, match=r"did not open within 500 ms|no answer within 500 ms"):
            source.__enter__()
        source._thread.join(patience_s())
        assert not source._thread.is_alive()


# Pictures.


def with_size(content: bytes, height: int, width: int) -> bytes:
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + content[at + 4 :]


@pytest.mark.parametrize("size_hw", [(30_000, 30_000), (65_500, 65_500), (8_001, 8_001), (1, 65_535 * 1)])
def test_a_picture_that_announces_too_many_pixels_is_not_decoded(size_hw, monkeypatch):
    real, decoded = cv2.imdecode, []
    monkeypatch.setattr(cv2, "imdecode", lambda *a: decoded.append(len(a[0])) or real(*a))
    bomb = with_size(jpeg(), *size_hw)
    error = failure(http(multipart(part(bomb))), limits=SourceLimits(open_timeout_ms=60_000, max_pixels=64_000))
    assert f"{size_hw[1]:,}×{size_hw[0]:,}" in str(error)
    assert "max_megapixels" in error.fix
    assert not decoded


def test_broken_pictures_are_passed_over_and_fifty_in_a_row_are_an_error():
    good, bad = part(jpeg()), part(b"\xff\xd8\xff\xe0nonsense")
    assert len(frames_of(http(multipart((good + bad * 40) * 3)), 1)) == 1
    for broken in (
        bad,
        part(b""),
        part(b"BM" + bytes(60)),
        part(jpeg()[:200]),
        part(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()),
    ):
        error = failure(http(multipart(broken * 60)))
        assert "50 pictures in a row cannot be decoded" in str(error)


def test_a_length_that_is_too_short_or_too_long_loses_pictures_and_no_more():
    content = jpeg()
    for length in (len(content) // 2, len(content) + 5):
        assert isinstance(failure(http(multipart((part(content, length=length) + part(content)) * 5))), SourceError)
    assert len(frames_of(http(multipart((part(content, length=10) + part(content)) * 5)), 1)) == 1


# As cameras do it.


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
@pytest.mark.parametrize("named", [b"b", b'"b"', b"--b", b"----b"])
@pytest.mark.parametrize("long", [True, False])
def test_parts_are_read_as_cameras_write_them(ends, named, long):
    content = jpeg()
    lines = [b"--" + named.strip(b'"').lstrip(b"-") if named != b"----b" else b"------b", b"Content-Type: image/jpeg"]
    lines += [b"content-length: %d" % len(content)] if long else []
    one = ends.join([*lines, b"", b""]) + content + ends
    frames = frames_of(http(multipart(ends + one * 200, named)), 1)
    assert frames[0].pixels.shape == (48, 64, 3)
    assert frames[0].pixels[..., 0].mean() > 150 > 30 > frames[0].pixels[..., 1:].mean()


def test_chunks_and_lengths_do_not_disturb():
    body = part(jpeg()) * 3
    head = multipart(b"").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(body[i : i + 100]), body[i : i + 100]) for i in range(0, len(body), 100))
    assert frames_of(http(head + chunks + b"0\r\n\r\n"), 1)


def test_mpeg_ts_and_raw_jpegs_over_http_are_still_read(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for shade in range(40):
        writer.write(np.full((48, 64, 3), (0, 0, 200 + shade % 9), np.uint8))
    writer.release()
    raw = b"".join(jpeg(200 + i % 9) for i in range(300))
    frames = frames_of(http(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-motion-jpeg\r\n\r\n" + raw), 1)
    assert frames[0].pixels[..., 0].mean() > 150


# The parser alone.

TOKENS = st.text("abcxyz0189_'()+,./:=?", min_size=1, max_size=70)


@given(
    boundary=TOKENS.filter(lambda text: not text.startswith("=")),
    contents=st.lists(st.tuples(st.binary(max_size=300), st.booleans()), min_size=1, max_size=5),
    piece=st.integers(1, 99),
)
def test_parts_come_out_as_they_went_in(boundary, contents, piece):
    mark = b"--" + boundary.encode()
    contents = [(content, long or mark in b"\n" + content or content.endswith(b"\r")) for content, long in contents]
    body = b"preamble\r\n"
    for content, long in contents:
        body += mark + b"\r\nContent-Type: image/jpeg\r\n"
        body += b"Content-Length: %d\r\n" % len(content) if long else b""
        body += b"\r\n" + content + b"\r\n"
    parts = Multipart(feed(body + mark + b"--\r\n", piece), f'multipart/x-mixed-replace; boundary="{boundary}"')
    if any(mark.lstrip(b"-") in content for content, long in contents if long):
        return  # what follows a content is looked for behind it only
    for content, _ in contents:
        assert parts.next_part() == content
    assert parts.next_part() is None


@given(
    body=st.one_of(
        st.binary(max_size=500),
        st.text("-b\r\nContent-Length: 0123456789\x00\xff", max_size=300).map(lambda t: t.encode("latin-1")),
    ),
    kind=st.one_of(st.just("multipart/x-mixed-replace; boundary=b"), st.text(max_size=50)),
    piece=st.integers(1, 99),
)
def test_any_bytes_are_parts_an_end_or_a_message_error(body, kind, piece):
    with contextlib.suppress(MessageError):
        parts = Multipart(feed(body, piece), kind, max_part_bytes=100)
        while (content := parts.next_part()) is not None:
            assert len(content) <= 100 + piece + 8


@given(body=st.binary(max_size=200), pieces=st.lists(st.integers(1, 50), min_size=1), piece=st.integers(1, 99))
def test_chunks_come_out_as_they_went_in(body, pieces, piece):
    packed, rest = b"", body
    for size in pieces * 200:
        if not rest:
            break
        packed, rest = packed + b"%X\r\n%s\r\n" % (len(rest[:size]), rest[:size]), rest[size:]
    chunked, out, view = Chunked(feed(packed + b"0\r\n\r\n", piece)), b"", memoryview(bytearray(17))
    while count := chunked.read_into(view):
        out += view[:count]
    assert out == body


@given(st.binary(max_size=200))
def test_any_bytes_are_chunks_or_a_message_error(body):
    chunked, view = Chunked(feed(body)), memoryview(bytearray(17))
    with contextlib.suppress(MessageError):
        while chunked.read_into(view):
            pass
