"""Addresses, heads and authentication: what a camera says is taken apart without a connection."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.sources.http_auth import Login, parse_challenges
from edge.sources.wire import MAX_HEAD_BYTES, Address, MessageError, elsewhere, end_of_head, parse_head


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "user", "password"),
    [
        ("rtsp://192.168.1.20/stream", "192.168.1.20", 554, "/stream", None, ""),
        ("rtsps://camera/1?a=b&c=/d", "camera", 322, "/1?a=b&c=/d", None, ""),
        ("http://me:p%40s%2F@[fe80::1]:8080/video.cgi", "fe80::1", 8080, "/video.cgi", "me", "p@s/"),
        ("https://me:p:s@camera", "camera", 443, "/", "me", "p:s"),
        ("http://camera?x=1#part", "camera", 80, "/?x=1", None, ""),
        ("http://camera/a b/ü", "camera", 80, "/a%20b/%C3%BC", None, ""),
    ],
)
def test_an_address_is_taken_apart(url, host, port, target, user, password):
    address = Address.parse(url)
    assert (address.host, address.port, address.target, address.user, address.password) == (host, port, target, user, password)
    assert "p@s" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "http:", "http:/path", "http://", "http://me:pw@/x", "http://host:0/", "http://host:65536/", "http://host:x/", "http://[::1/",
        "http://host/a\r\nX-Injected: 1", "rtsp://host/\x00", "rtsp://ho st/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_a_wrong_configuration(url):
    with pytest.raises(ConfigError) as caught:
        Address.parse(url)
    assert "pw" not in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_or_a_config_error_and_never_injects_a_line(text):
    with contextlib.suppress(ConfigError):
        address = Address.parse(f"http://{text}")
        assert re.fullmatch(r"[\x21-\x7e]+", address.target)
        assert not re.search(r"\s", address.host_port)


def test_a_head_is_read_with_either_line_end():
    for raw in (b"HTTP/1.0 200 OK\r\nA-b: c \r\na-B:d", b"HTTP/1.0 200 OK\nA-b: c \na-B:d"):
        head = parse_head(raw)
        assert (head.status, head.all("a-b"), head.get("x")) == (200, ["c", "d"], "")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101,
        b"HTTP/1.1 200 OK\r\na: " + b"x" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nno header",
        b"HTTP/1.1 200 OK\r\na b: c",
        b"HTTP/1.1 200 OK\r\na: b\x1b]0;c",
        b"HTTP/1.1 200 OK\x1b[2J\r\na: b",
        b"HTTP/1.1 200 OK\r\na: b\rSet: c",
    ],
)
def test_a_head_that_no_camera_sends_is_refused(raw):
    with pytest.raises(MessageError):
        parse_head(raw)


@pytest.mark.parametrize("length", ["-1", "+5", "0x10", "1e3", "", "5, 6", "²", "9" * 21, str(2**62)])
def test_a_length_that_is_none_or_too_large_is_refused(length):
    with pytest.raises(MessageError, match="Content-Length"):
        parse_head(f"x\r\nContent-Length: {length}".encode()).length(1000)
    with pytest.raises(MessageError):
        parse_head(b"x\r\nContent-Length: 4\r\nContent-Length: 5").length(1000)


def test_an_endless_head_is_given_up():
    with pytest.raises(MessageError, match="longer than"):
        end_of_head(b"a: b\r\n" * 10_000)
    assert end_of_head(b"a: b\r\n") is None
    assert end_of_head(b"xxa: b\r\n\r\nrest", 2) == (6, 10)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_head_or_a_message_error(raw):
    with contextlib.suppress(MessageError):
        head = parse_head(raw)
        head.length(10)
        assert head.status


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://me:secret@evil.example:81/a?token=secret", "http://evil.example:81/a"),
        ("/login?next=secret", "http://camera/login"),
        ("//evil/x", "http://evil/x"),
        ("rtsp://evil/\x1b]0;x\x07", "rtsp://evil/..."),
        ("rtsp://[fe80::1]:555/Streaming/Channels/101", "rtsp://[fe80::1]:555/Streaming/Channels/101"),
        ("rtsp:me:secret@evil/x", "an address that cannot be read"),
        ("/user=me_password=secret_channel=1", "http://camera/..."),
        ("/a;session=secret", "http://camera/..."),
        ("/session/0123456789abcdef0123456789abcdef", "http://camera/..."),
        ("secret:x", "an address that cannot be read"),
        ("http://[bad/", "an address that cannot be read"),
        ("http://h:99999999/", "an address that cannot be read"),
    ],
)
def test_where_a_redirect_points_is_shown_without_secrets(location, shown):
    assert elsewhere(location, "http://camera/video") == shown


@given(st.text())
def test_any_location_can_be_shown(location):
    assert re.fullmatch(r"[\x20-\x7e]{1,200}", elsewhere(location, "http://camera/video"))


def test_digest_is_answered_as_in_the_rfc(monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda _: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    login = Login("Mufasa", "Circle of Life")
    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):  # RFC 7616 3.9.1
        asked = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        assert login.challenged([asked])
        assert f'response="{response}"' in (login.header("GET", "/dir/index.html") or "")
    assert login.challenged(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])  # RFC 2069
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in (Login_2069().header("GET", "/dir/index.html") or "")


def Login_2069() -> Login:
    """The example of RFC 2617 3.5 without its qop, as RFC 2069 computes it."""
    login = Login("Mufasa", "Circle Of Life")
    login.challenged(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    return login


def test_who_asked_for_digest_does_not_get_the_password_later():
    digest, basic = 'Digest realm="a", nonce="n"', 'Basic realm="a"'
    assert Login("me", "hush", "camera:80").challenged([basic])
    assert Login("me", "hush", "camera:80").challenged([digest, basic])
    later = Login("me", "hush", "camera:80")
    assert not later.challenged([basic])
    assert later.downgraded
    assert later.header("GET", "/") is None
    assert later.challenged([digest])
    assert not later.downgraded
    assert Login("me", "hush", "other:80").challenged([basic])
    assert Login("me", "hush").challenged([basic]), "over TLS nobody stands between"


def test_digest_goes_before_basic_and_what_cannot_be_answered_is_not():
    login = Login("me", "pw")
    assert login.header("GET", "/") is None
    assert login.challenged(['Basic realm="a", Digest realm="b", nonce="n"'])
    assert not login.basic
    assert login.challenged(["Digest realm=b, nonce=n, algorithm=XYZ", "Basic realm=a"])
    assert login.basic
    assert not login.challenged(['Bearer realm="x"', "NTLM", 'Digest realm="a", nonce="n", qop="auth-int"'])
    assert login.header("GET", "/") is None
    assert "pw" not in repr(login)


@given(st.lists(st.text(), max_size=3))
def test_any_challenge_is_read_and_answered_in_one_line(headers):
    parse_challenges(headers)
    login = Login('m"e', "pw")
    if login.challenged(headers):
        assert "\n" not in (login.header("GET", "/") or "")
        assert "\r" not in (login.header("GET", "/") or "")


def test_a_long_challenge_takes_no_time_that_grows_with_its_square():
    assert parse_challenges([" " * 16_000, "," * 16_000, "a=" * 8_000, 'Digest realm="' + "\\" * 16_000]) is not None
