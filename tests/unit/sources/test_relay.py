"""RTSP cameras that send elsewhere, lie and flood; TLS; and what FFmpeg gets to see of all that."""

from __future__ import annotations

import base64
import contextlib
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.data import Frame
from edge.errors import SourceError
from edge.sources import open_source
from edge.sources.base import SourceLimits, Trust
from edge.sources.ffmpeg import LoopbackListener
from edge.sources.rtsp import Dialogue, RtspMessage, Splitter, checked_sdp
from edge.sources.wire import Address, Head, MessageError
from tests.fakes import hostile
from tests.fakes.hostile import H264_SDP, Hostile, certificate, described, rtsp
from tests.fakes.patience import patience_s
from tests.fakes.rtsp import RED_VIDEO, RtspServer, why_not

PATIENT = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=60_000)
HASTY = SourceLimits(open_timeout_ms=1_500, read_timeout_ms=1_500)
needs_rtsp = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")
BASIC, DIGEST = 'WWW-Authenticate: Basic realm="x"', 'WWW-Authenticate: Digest realm="x", nonce="n"'


def failure(
    server: Hostile, *, limits: SourceLimits = PATIENT, at: str = "rtsp://me:hush-hush@127.0.0.1:{}/shelf"
) -> SourceError:
    return hostile.failure(server, at, limits)


# Elsewhere.


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_a_redirect_is_not_followed_and_says_where_it_points(status, method):
    with Hostile(lambda client: None) as other:
        away = f"rtsp://127.0.0.1:{other.port}/a?hush-hush"
        error = failure(rtsp({method: f"RTSP/1.0 {status} Moved\r\nLocation: {away}"}))
        assert f"sends on to rtsp://127.0.0.1:{other.port}/a ({status}), which is not followed" in str(error)
        assert "write that address" in (error.fix or "")
        assert other.connections == 0


@pytest.mark.parametrize("challenge", [BASIC, DIGEST])
@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_a_redirect_after_the_password_was_sent_reaches_nobody_else(challenge, method):
    with Hostile(lambda client: None) as other:

        def answer(request: str) -> str:
            if "authorization" not in request.lower():
                return f"RTSP/1.0 401 No\r\n{challenge}"
            return f"RTSP/1.0 302 Moved\r\nLocation: rtsp://127.0.0.1:{other.port}/"

        assert "which is not followed" in str(failure(rtsp({method: answer})))
        assert other.connections == 0


def test_a_request_to_go_elsewhere_in_mid_stream_is_not_followed():
    with Hostile(lambda client: None) as other:

        def redirect(client: socket.socket) -> None:
            client.sendall(b"$\x00\x00\x10" + bytes(16))
            client.sendall(f"REDIRECT * RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.1:{other.port}/x\r\n\r\n".encode())

        assert f"sends on to rtsp://127.0.0.1:{other.port}/x" in str(failure(rtsp({}, redirect)))
        assert other.connections == 0


@pytest.mark.parametrize("header", ["Content-Base", "Content-Location"])
def test_addresses_in_the_description_are_not_connected_to(header):
    with Hostile(lambda client: None) as other:
        sdp = H264_SDP.replace("a=control:track1", f"a=control:rtsp://127.0.0.1:{other.port}/track1")
        answer = described(sdp).replace("\r\n\r\n", f"\r\n{header}: rtsp://127.0.0.1:{other.port}/\r\n\r\n", 1)
        failure(rtsp({"DESCRIBE": answer}, lambda client: client.close()))
        assert other.connections == 0


# The password.


@pytest.mark.parametrize(
    ("challenge", "shows"), [(BASIC, True), (f"{BASIC}\r\n{DIGEST}", False), (f"{DIGEST}\r\n{BASIC}", False)]
)
def test_the_password_goes_out_only_when_asked_for_and_by_digest_where_that_is_offered(challenge, shows):
    requests: list[str] = []

    def answer(request: str) -> str:
        requests.append(request)
        return described(H264_SDP) if "authorization" in request.lower() else f"RTSP/1.0 401 No\r\n{challenge}"

    failure(rtsp({"DESCRIBE": answer}, lambda client: client.close()))
    secret = base64.b64encode(b"me:hush-hush").decode()
    assert secret not in requests[0]
    assert (secret in requests[1]) == shows
    assert "hush-hush" not in "".join(requests)


def test_a_camera_that_asked_for_digest_does_not_get_the_password_itself_later():
    requests: list[str] = []

    def setup(request: str) -> str:
        requests.append(request)
        return f"RTSP/1.0 401 No\r\n{BASIC}"

    def describe(request: str) -> str:
        return described(H264_SDP) if "authorization" in request.lower() else f"RTSP/1.0 401 No\r\n{DIGEST}"

    assert "which it does not get" in str(failure(rtsp({"DESCRIBE": describe, "SETUP": setup})))
    assert len(requests) == 1
    assert base64.b64encode(b"me:hush-hush").decode() not in requests[0]


def test_a_wrong_password_is_said_and_not_tried_over_and_over():
    requests: list[str] = []

    def answer(request: str) -> str:
        requests.append(request)
        return f"RTSP/1.0 401 No\r\n{DIGEST}"

    assert "refuses user and password (401)" in str(failure(rtsp({"DESCRIBE": answer})))
    assert len(requests) == 2


def test_a_path_that_is_not_there_is_said():
    assert "no such path (404)" in str(failure(rtsp({"DESCRIBE": "RTSP/1.0 404 Not Found"})))


@needs_rtsp
@pytest.mark.parametrize("method", ["basic", "digest"])
def test_a_real_server_takes_the_password_by_either_method(method):
    with RtspServer(RED_VIDEO, user="me", password="p@s:/s", method=method) as server:
        url = server.url.replace("//", "//me:p%40s%3A%2Fs@")
        with open_source(url, timeout_ms=60_000, limits=PATIENT) as source:
            assert isinstance(next(iter(source)), Frame)
        with pytest.raises(SourceError, match="401"):
            open_source(server.url.replace("//", "//me:wrong@"), timeout_ms=60_000, limits=PATIENT).__enter__()


# Certificates.


def tls_front(port: int, tls: tuple[Path, Path]) -> Hostile:
    """TLS in front of a server that has none."""

    def script(client: ssl.SSLSocket) -> None:
        """In one thread: two that read and write one TLS connection at once may wait for each other for ever."""
        with socket.create_connection(("127.0.0.1", port)) as behind, contextlib.suppress(OSError):
            while True:
                for one in [client] if client.pending() else select.select([client, behind], [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    front.heard += data if one is client else b""
                    (behind if one is client else client).sendall(data)

    front = Hostile(script, tls=tls)
    return front


@needs_rtsp
def test_rtsps_needs_a_certificate_that_the_site_vouches_for(tmp_path):
    pem, key = certificate(tmp_path, "camera", "IP:127.0.0.1")
    with RtspServer(RED_VIDEO) as server, tls_front(server.port, (pem, key)) as front:
        url = f"rtsps://me:hush-hush@127.0.0.1:{front.port}/shelf"
        with pytest.raises(SourceError, match="certificate is not trusted") as caught:
            open_source(url, timeout_ms=60_000, limits=PATIENT).__enter__()
        assert "ca_file" in caught.value.fix
        assert "insecure" in caught.value.fix
        assert front.heard == b""
        for trust in (Trust(str(pem)), Trust(insecure=True)):
            limits = SourceLimits(open_timeout_ms=60_000, read_timeout_ms=60_000, trust=trust)
            with open_source(url, timeout_ms=60_000, limits=limits) as source:
                ticks = iter(source)
                for _ in range(10):
                    assert isinstance(next(ticks), Frame)


@pytest.mark.parametrize(("subject", "days"), [("DNS:camera.example", 2), ("IP:127.0.0.1", 0)])
def test_a_certificate_of_another_name_or_an_old_one_is_refused_before_the_password(tmp_path, subject, days):
    pem, key = certificate(tmp_path, "camera", subject, days=days)
    time.sleep(0 if days else 1.5)  # until the certificate of no days has expired
    limits = SourceLimits(open_timeout_ms=60_000, trust=Trust(str(pem)))
    server = rtsp({}, tls=(pem, key))
    assert "certificate is not trusted" in str(failure(server, limits=limits, at="rtsps://me:hush-hush@127.0.0.1:{}/"))
    assert server.heard == b""


# What is no stream over this connection.


@pytest.mark.parametrize(
    "transport",
    [
        "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001",
        "RTP/AVP/UDP;unicast;client_port=5000-5001;source=127.0.0.1",
        "RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001",
        "RTP/AVP/TCP;unicast",
        "RTP/AVP/TCP;unicast;interleaved=0-200",
        "RTP/AVP/TCP;unicast;interleaved=300-301",
        "RAW/RAW/UDP;unicast",
        "x-real-rdt/tcp",
        "",
    ],
)
def test_another_transport_than_the_one_asked_for_is_refused(transport):
    error = failure(rtsp({"SETUP": f"RTSP/1.0 200 OK\r\nSession: 1\r\nTransport: {transport}"}))
    assert "would not send over the connection" in str(error)


@pytest.mark.parametrize(
    "sdp",
    [
        "m=video 1234 udp 96\r\na=rtpmap:96 H264/90000\r\n",
        "m=video 0 RAW/RAW/UDP 33\r\n",
        "m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\n",
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X-QT/90000\r\n",
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 x-asf-pf/1000\r\n",
        "m=video 0 RTP/AVP 96\r\n",
        "m=video 0 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 X-SV3V-ES/90000\r\n",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n",
        "",
    ],
)
def test_a_description_without_a_video_that_is_read_is_refused_by_name(sdp):
    assert "offers no video that is read" in str(failure(rtsp({"DESCRIBE": described(f"v=0\r\n{sdp}")})))


@pytest.mark.parametrize("length", [10**8, 2**62, -1, "0x10"])
def test_a_description_that_announces_too_much_is_refused(length):
    assert "Content-Length" in str(failure(rtsp({"DESCRIBE": described("v=0\r\n", length)})))


@pytest.mark.parametrize("sdp", ["#EXTM3U\nhttp://127.0.0.1/\n", "<html>", "\x00" * 50])
def test_what_is_no_description_is_refused(sdp):
    assert "no SDP" in str(failure(rtsp({"DESCRIBE": described(sdp)})))


def endless(piece: bytes):
    def send(client: socket.socket) -> None:
        while True:
            client.sendall(piece * 500)

    return send


@pytest.mark.parametrize("piece", [b"a: b\r\n", b"RTSP/1.0 200 " + b"x" * 50])
def test_an_endless_head_is_refused(piece):
    assert re.search("longer than|headers|answer", str(failure(rtsp({}, endless(piece)))))


@pytest.mark.parametrize("piece", [b"\x00\x01\x02", b"\xff" * 9, b"{}"])
def test_what_is_no_rtsp_is_refused(piece):
    assert "no RTSP" in str(failure(rtsp({}, endless(piece))))


@pytest.mark.parametrize(
    "piece",
    [
        b"$\x07\x00\x10" + bytes(16),
        b"$\x00\x00\x00",
        b"$\x00\x00\x07" + bytes(7),
        b"\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n",
    ],
)
def test_frames_that_nobody_asked_for_never_become_a_picture(piece):
    error = failure(rtsp({}, endless(piece)), limits=HASTY)
    assert re.search("no stream comes|stalled|did not open", str(error))


# What passes, by itself.


def test_nobody_but_this_process_comes_through_the_door_and_only_once():
    door = LoopbackListener()
    let_in: list[socket.socket | None] = []
    thread = threading.Thread(target=lambda: let_in.append(door.accept_own(60, lambda: False)))
    thread.start()
    code = f"import socket; s = socket.create_connection(('127.0.0.1', {door.port})); print(s.recv(9))"
    stranger = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert stranger.stdout.strip() == "b''" or "ConnectionReset" in stranger.stderr, "was hung up on"
    with socket.create_connection(("127.0.0.1", door.port)):
        thread.join(patience_s())
    assert let_in[0] is not None
    let_in[0].close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", door.port))


def dialogue(url: str = "rtsp://me:pw@camera:8554/a?b=c") -> Dialogue:
    return Dialogue(Address.parse(url), "rtsp://127.0.0.1:9/camera", "camera", lambda: None)


def message(text: str, body: bytes = b"") -> RtspMessage:
    first, *lines = text.split("\n")
    return RtspMessage(Head(first, tuple((k.lower(), v) for k, _, v in (line.partition(": ") for line in lines))), body)


def test_the_camera_sees_its_own_address_and_numbers_that_run_on():
    talk = dialogue()
    for asked, sent in (
        ("rtsp://127.0.0.1:9/camera", "rtsp://camera:8554/a?b=c"),
        ("rtsp://127.0.0.1:9/camera/track1", "rtsp://camera:8554/a?b=c/track1"),
        ("rtsp://10.0.0.1/track1", "rtsp://10.0.0.1/track1"),
    ):
        assert talk.from_ffmpeg(message(f"SETUP {asked} RTSP/1.0\nCSeq: 7")).startswith(f"SETUP {sent} RTSP/1.0\r\n".encode())
    to_ffmpeg, to_camera = talk.from_camera(message("RTSP/1.0 401 No\nCSeq: 2\nWWW-Authenticate: Digest realm=x, nonce=n"))
    assert to_ffmpeg == b""
    assert b"CSeq: 4\r\n" in to_camera
    assert b'uri="rtsp://camera:8554/a?b=c/track1"' in to_camera
    answer = "RTSP/1.0 200 OK\nCSeq: 4\nSession: 5;timeout=60\nServer: RealServer\nLocation: x\n"
    answer += "Transport: RTP/AVP/TCP;interleaved=2-3;source=1.1.1.1"
    to_ffmpeg, _ = talk.from_camera(message(answer))
    assert (
        to_ffmpeg
        == b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: 5;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n\r\n"
    )
    assert [talk.granted(channel) for channel in (1, 2, 3, 4)] == [False, True, True, False]


def test_a_camera_that_never_answers_what_keeps_the_session_alive_is_kept():
    talk = dialogue()
    for number in range(1, 200):
        assert talk.from_ffmpeg(message(f"GET_PARAMETER rtsp://127.0.0.1:9/camera RTSP/1.0\nCSeq: {number}"))
    assert len(talk._asked) < 50
    assert talk.from_camera(message("RTSP/1.0 200 OK\nCSeq: 199"))[0].startswith(b"RTSP/1.0 200 OK\r\nCSeq: 199\r\n")
    assert talk.from_camera(message("RTSP/1.0 302 Moved\nCSeq: 1\nLocation: rtsp://evil/")) == (b"", b"")


def test_requests_of_the_camera_never_reach_ffmpeg():
    for method, status in (
        ("OPTIONS", b"200"),
        ("GET_PARAMETER", b"200"),
        ("ANNOUNCE", b"501"),
        ("SETUP", b"501"),
        ("PLAY", b"501"),
    ):
        to_ffmpeg, to_camera = dialogue().from_camera(message(f"{method} * RTSP/1.0\nCSeq: 3"))
        assert to_ffmpeg == b""
        assert to_camera.startswith(b"RTSP/1.0 " + status)


def test_of_a_description_only_the_videos_remain():
    sdp = H264_SDP.replace("m=video", "a=key-mgmt:x\r\nm=audio 0 RTP/AVP 0\r\na=control:track0\r\nm=video")
    sdp += (
        "a=crypto:1 AES_CM_128\r\na=source-filter: incl IN IP4 * 1.1.1.1\r\nm=application 0 RTP/AVP 107\r\na=control:track3\r\n"
    )
    assert checked_sdp(sdp.encode()).decode() == H264_SDP


@pytest.mark.parametrize("line", ["97 X-QT/90000", "096 X-QT/90000", "\t96 X-QT/90000", "96 X-QT", "96\tX-QT/90000", "x"])
def test_no_line_names_another_encoding_to_ffmpeg(line):
    """FFmpeg takes the last, of whatever format and however it is written, for the encoding of the stream."""
    assert checked_sdp(f"{H264_SDP}a=rtpmap:{line}\r\n".encode()).decode() == H264_SDP


PIECES = st.one_of(
    st.builds(
        lambda channel, data: b"$" + bytes([channel]) + len(data).to_bytes(2, "big") + data,
        st.integers(0, 3),
        st.binary(max_size=80),
    ),
    st.builds(lambda body: f"RTSP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body, st.binary(max_size=80)),
    st.just(b"\r\n"),
    st.just(b"ANNOUNCE * RTSP/1.0\r\n\r\n"),
)


@given(pieces=st.lists(PIECES, max_size=8), cuts=st.lists(st.integers(1, 40), min_size=1))
def test_the_same_comes_out_however_it_is_cut(pieces, cuts):
    stream, found, position = b"".join(pieces), [], 0
    splitter = Splitter(lambda channel: channel < 2)
    for cut in cuts * 500:
        found += splitter.feed(stream[position : position + cut])
        position += cut
        if position >= len(stream):
            break
    frames = [p for p in pieces if p[:1] == b"$" and p[1] < 2 and len(p) >= 12]
    assert b"".join(one for one in found if isinstance(one, bytes)) == b"".join(frames)
    bodies = [p.partition(b"\r\n\r\n")[2] for p in pieces if p[:1] in (b"R", b"A")]
    assert [one.body for one in found if isinstance(one, RtspMessage)] == bodies


@given(st.lists(st.one_of(st.binary(max_size=60), PIECES), max_size=6))
def test_any_bytes_are_split_answered_or_refused(chunks):
    talk = dialogue()
    talk.from_ffmpeg(message("DESCRIBE rtsp://127.0.0.1:9/camera RTSP/1.0\nCSeq: 1"))
    splitter = Splitter(talk.granted)
    with contextlib.suppress(MessageError, SourceError):
        for chunk in chunks:
            for one in splitter.feed(chunk):
                if isinstance(one, RtspMessage):
                    talk.from_camera(one)


@given(st.text("vmao=0123 /:RTPAVHideo\r\n\x00é", max_size=200))
def test_any_description_is_checked_or_refused(text):
    with contextlib.suppress(MessageError):
        checked_sdp(f"v=0\r\n{text}".encode())
