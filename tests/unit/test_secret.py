"""Secrets stay in: the type, the files they come from, the addresses that are shown, and what libraries say about them."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import pickle
import re
import traceback
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError, DataError, ShelfcamError
from edge.exposure import exposed, exposure_fix
from edge.secret import MAX_SECRET_BYTES, Secret, read_secret, show_url, with_password
from edge.text import scrub

VALUE = "Xy7-quite-secret"


@dataclasses.dataclass
class Login:
    name: str
    password: Secret


class Table(msgspec.Struct):
    password: Secret


def test_a_secret_cannot_be_printed() -> None:
    secret = Secret(VALUE)
    login = Login("me", secret)
    for shown in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret:>30}",
        "{} {!r}".format(secret, secret),  # noqa: UP032
        f"{secret!s} {[secret]} {{'a': secret}}",
        repr(login),
        repr(Table(secret)),
        repr(dataclasses.asdict(login)),
        repr(copy.deepcopy(login)),
        repr(vars(login)),
        json.dumps({"a": secret}, default=str),
        logging.LogRecord("a", 30, "f", 1, "%s", (secret,), None).getMessage(),
        "".join(traceback.format_exception(ValueError(secret))),
    ):
        assert VALUE not in shown
    assert secret.reveal() == VALUE


@pytest.mark.parametrize(
    "write",
    [
        pickle.dumps,
        lambda secret: pickle.dumps([secret], protocol=0),
        json.dumps,
        lambda secret: json.dumps(secret, default=vars),
        msgspec.json.encode,
        lambda secret: msgspec.msgpack.encode({"a": secret}),
        lambda secret: msgspec.json.encode(Table(secret)),
        lambda secret: "a" + secret,
        bytes,
        list,
        vars,
        lambda secret: secret.__getstate__(),
        lambda secret: secret.__reduce__(),
    ],
)
def test_a_secret_cannot_be_written(write) -> None:
    with pytest.raises(TypeError) as caught:
        write(Secret(VALUE))
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\nmore\n", "s3cret"),
        (b"\xef\xbb\xbfs3cret\r\n", "s3cret"),
        ("p@s:/s w#%?é".encode() + b"\n\x00\x1b\n", "p@s:/s w#%?é"),
        (b"x" * MAX_SECRET_BYTES, "x" * MAX_SECRET_BYTES),
    ],
)
def test_the_first_line_is_the_secret(tmp_path: Path, content: bytes, value: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    assert read_secret(file, "token_file").reveal() == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n" + VALUE.encode(), "is empty"),
        (b"  \n", "is empty"),
        (b"\r\n", "is empty"),
        (VALUE.encode() + b"\rX-Injected: 1\n", "control character"),
        (VALUE.encode() + b"\r\r\n", "control character"),
        (b"\r" + VALUE.encode(), "control character"),
        (VALUE.encode() + b"\x00", "control character"),
        (VALUE.encode() + b"\tx", "control character"),
        (VALUE.encode() + b"\x1b]52;c;\x07", "control character"),
        (VALUE.encode() + b"\x7f", "control character"),
        (VALUE.encode() + "\x85".encode(), "control character"),
        (VALUE.encode() + "\u2028x".encode(), "control character"),
        (VALUE.encode() + "\u202ex".encode(), "control character"),
        (VALUE.encode() + b"\xff", "no UTF-8"),
        (VALUE.encode() + b"\n" + b"x" * MAX_SECRET_BYTES, "longer than"),
        (VALUE.encode() * 10_000, "longer than"),
    ],
)
def test_what_is_no_secret_is_refused_by_name_and_its_content_not_told(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_secret(str(file), "token_file")
    assert f"token_file {file}" in str(caught.value)
    assert caught.value.fix
    assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (
        tmp_path / "fifo",
        tmp_path / "directory",
        tmp_path / "none",
        tmp_path / "loop",
        "/dev/zero",
        "/dev/tty",
        "a\0b",
    ):
        with pytest.raises(ConfigError, match="token_file"):
            read_secret(path, "token_file")


@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o600, False), (0o640, False), (0o400, False), (0o644, True), (0o604, True), (0o602, True), (0o666, True)],
)
def test_a_file_that_everybody_can_read_or_change_lies_open(tmp_path: Path, mode: int, told: bool) -> None:
    file = tmp_path / "a token"
    file.touch()
    file.chmod(mode)
    assert (exposed(file) is not None) == told
    assert f"chmod 640 '{file}'" in exposure_fix(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another group needs root")
def test_a_file_of_a_strange_group_lies_open_to_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch()
    os.chown(file, -1, 54_321)
    file.chmod(0o640)
    assert "54321" in (exposed(file) or "")
    file.chmod(0o600)
    assert exposed(file) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host", "https://host"),
        ("https://host/", "https://host"),
        ("HTTPS://Host.Example:8443", "https://host.example:8443"),
        ("https://host/services/T0/B0/SECRET", "https://host#"),
        ("https://host:1/?auth=SECRET", "https://host:1#"),
        ("https://host#SECRET", "https://host#"),
        ("rtsp://me:SECRET@host:554/", "rtsp://host:554#"),
        ("rtsp://SECRET@host", "rtsp://host#"),
        ("rtsp://[::1]:8554/SECRET", "rtsp://[::1]:8554#"),
        ("rtsp://me:SEC/RET@host/1", "rtsp:#"),
        ("rtsp://me:12/SECRET@host/1", "rtsp:#"),
        ("rtsp://me:12?SECRET@host/1", "rtsp:#"),
        ("rtsp://me:12#SECRET@host/1", "rtsp:#"),
        ("rtsp://me/SECRET%40host", "rtsp:#"),
        ("rtsp://me/SECRET%2540host", "rtsp:#"),
        ("rtsp://me/SECRET\uff20host", "rtsp:#"),
        ("rtsp://me:SECRET%40host/1", "rtsp:#"),
        ("rtsp://me\\SECRET@host", "rtsp:#"),
        ("rtsp://ho\tst/SECRET", "rtsp:#"),
        ("rtsp://host/SEC\nRET", "rtsp:#"),
        ("rtsp://host/SEC RET", "rtsp:#"),
        ("rtsp://host/\x1b]52;c;SECRET\x07", "rtsp:#"),
        ("rtsp://[SECRET]/", "rtsp:#"),
        ("rtsp://[::1/SECRET", "rtsp:#"),
        ("rtsp://host:SECRET/", "rtsp:#"),
        ("rtsp://host:99999/", "rtsp:#"),
        ("rtsp:me:SECRET@host", "rtsp:#"),
        ("rtsp:/SECRET", "rtsp:#"),
        ("rtsp://", "rtsp:#"),
        ("//me:SECRET@host", "#"),
        ("me:SECRET@host", "#"),
        ("secret://host/", "#"),
        ("SECRET", "#"),
        ("", "#"),
        ("\ud800://SECRET", "#"),
    ],
)
def test_an_address_is_shown_by_allow_list(url: str, shown: str) -> None:
    assert re.fullmatch(re.escape(shown) + ("[g-z]{6}" if shown.endswith("#") else ""), show_url(url))


def test_two_addresses_of_a_host_are_told_apart_and_one_is_known_again() -> None:
    one, other = show_url("rtsp://host/cam/1"), show_url("rtsp://host/cam/2")
    assert one != other
    assert one == show_url("RTSP://HOST/cam/1")
    assert show_url("rtsp://a@host/") != show_url("rtsp://b@host/")
    assert show_url("rtsp://me:1234@host/1") == show_url("rtsp://me:other@host/1"), (
        "a password cannot be guessed by the letters"
    )


@given(st.text(min_size=1), st.text(), st.text(), st.sampled_from(("https", "rtsp", "MQTT")))
def test_no_part_but_scheme_host_and_port_is_shown(user: str, password: str, rest: str, scheme: str) -> None:
    shown = show_url(f"{scheme}://{user}:{password}@camera.example:81/{rest}")
    assert re.fullmatch(rf"{scheme.lower()}:(//camera\.example:81)?#[g-z]{{6}}", shown)


@given(st.text())
def test_any_text_has_a_shown_form_of_known_parts(text: str) -> None:
    assert re.fullmatch(r"([a-z]{2,5}:(//[a-z0-9_.\[\]:-]+)?)?(#[g-z]{6})?", show_url(text))


def test_what_a_library_says_of_an_address_is_scrubbed() -> None:
    user, password, path = "Joe", "pass word/Q9Z", "/api/webhook/9f8e7d6c5b4a"
    url = f"https://{user}:{quote(password, safe='')}@host{path}?access_token=tk-12345&channel=main"
    show_url(url)
    for text in (
        f"cannot open {url!r}",
        f"POST {path}: 404",
        "GET /x?access_token=tk-12345",
        f"login {quote(password, safe='')} failed",
        "Authorization: Basic " + b64encode(f"{user}:{password}".encode()).decode(),
    ):
        said = scrub(text)
        assert not re.search("9f8e|tk-123|Q9Z|pass word|Sm9l", said), said
        assert "***" in said
    assert scrub("the main channel of host gave no stream") == "the main channel of host gave no stream"


def test_a_users_name_alone_is_no_secret_but_a_token_in_its_place_is() -> None:
    for url in ("rtsp://shelfcam@host/1", "rtsp://host/1?user=admin", "https://ghp-77aa88bb@host/"):
        show_url(url)
    assert scrub("chown root:shelfcam, admin, ghp-77aa88bb") == "chown root:shelfcam, admin, ***"


def test_a_password_that_is_a_word_is_hidden_where_it_is_one() -> None:
    Secret("other")
    Secret("secret")
    assert scrub("another process; login me:other failed; secret_file") == "another process; login me:*** failed; secret_file"


def test_what_was_read_is_scrubbed_from_errors_in_every_form(tmp_path: Path) -> None:
    password = 'p"a\\s:/s wörd9'
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    uri = with_password("rtsp://me@host/1", file)
    error = DataError(f"{uri} {password} {password!r} {json.dumps(password)} {quote(password)}", fix=f"try {uri}")
    for form in (password, quote(password, safe=""), quote(password), repr(password)[1:-1]):
        assert form not in f"{error} {error.fix}"


def test_errors_escape_what_strangers_wrote() -> None:
    error = ShelfcamError("a\x1b]52;c;eA==\x07b\nshelfcam: forged", fix="x\u202ey", details=["one", "two\r"])
    assert str(error).splitlines() == [r"a\x1b]52;c;eA==\x07b\nshelfcam: forged", "one", "two"]
    assert error.fix == r"x\u202ey"
