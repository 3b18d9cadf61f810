"""Secrets: read from files, kept in a type that cannot be printed, and left out of every address that is shown."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from unicodedata import normalize
from urllib.parse import quote, unquote

from edge.errors import ConfigError
from edge.text import HIDDEN, has_control, remember_secret

if TYPE_CHECKING:
    import ssl

MAX_SECRET_BYTES = 4_096
SECRET_FILES = ("source_file", "password_file", "secret_file", "token_file", "url_file")
"""Keys of the configuration whose files ``read_secret`` reads."""


class Secret:
    """A value that only ``reveal`` gives out. Printed, formatted or logged it is ``***``; it can be neither pickled nor encoded as JSON.
    Messages that quote a library hide it too, for ``edge.text.scrub`` knows it from here on."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value
        remember_secret(value, _base64(value))

    def reveal(self) -> str:
        """The value itself."""
        return self.__value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def __getstate__(self) -> NoReturn:
        self.__reduce_ex__(None)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def read_secret(path: str | Path, key: str) -> Secret:
    """The first line of a file, without its line break: UTF-8 text without control characters. No message ever holds what is in the file.

    Raises:
        ConfigError: naming ``key`` and the file, which cannot be read, is no plain file, is longer than 4,096 bytes, or whose first line
            is empty, holds a control character or is no UTF-8.
    """
    where = f"{key} {path}"
    try:
        line = _first_line(Path(path), where)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ConfigError(
            f"{where}: {getattr(error, 'strerror', None) or 'no file can have that name'}",
            fix="make it readable for the service's user, and nobody else",
        ) from error
    if not line.strip():
        raise ConfigError(f"{where}: is empty", fix="its first line is the secret")
    try:
        text = line.decode("utf-8-sig")  # the mark of Windows' editor is none of it
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: is no UTF-8", fix="write the secret as UTF-8 text") from None  # the cause holds the bytes
    if has_control(text):
        fix = "write it again with an editor that ends lines as Unix does, or: printf '%s\\n' SECRET > FILE"
        raise ConfigError(f"{where}: its first line holds a control character, such as a carriage return", fix=fix)
    return Secret(text)


def _first_line(path: Path, where: str) -> bytes:
    """Opened without waiting for whoever writes a FIFO, and judged by what was opened. Raises OSError or ConfigError."""
    plain = stat.S_ISREG(path.stat().st_mode)  # first: to open a device may set it to work
    if plain:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            plain = stat.S_ISREG(os.fstat(handle).st_mode)
            content = file.read(MAX_SECRET_BYTES + 1) if plain else b""
    if not plain:
        raise ConfigError(f"{where}: is no plain file", fix="write the secret into a plain file, as its first line")
    if len(content) > MAX_SECRET_BYTES:
        raise ConfigError(
            f"{where}: is longer than {MAX_SECRET_BYTES:,} bytes", fix="its first line is the secret; nothing else"
        )
    first = content.split(b"\n", 1)[0]
    return first[:-1] if first.endswith(b"\r") else first


def with_password(uri: str, path: Path) -> str:
    """``scheme://user@host/…`` with the password that is the first line of ``path``, percent-encoded.

    Raises:
        ConfigError: the file is not what ``read_secret`` takes, or ``uri`` names no user or has a password already.
    """
    match = re.match(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://[^/@:?#]+)@", uri)
    if match is None:
        raise ConfigError(
            f"{show_url(uri)}: has no place for the password of {path}", fix="write it as scheme://USER@host/path"
        )
    password = read_secret(path, "password_file")
    return f"{match['start']}:{quote(password.reveal(), safe='')}{uri[match.end() - 1 :]}"


SHOWN_SCHEMES = frozenset(
    (
        "file",
        "ftp",
        "ftps",
        "http",
        "https",
        "mqtt",
        "mqtts",
        "rtmp",
        "rtmps",
        "rtp",
        "rtsp",
        "rtsps",
        "sftp",
        "srt",
        "tcp",
        "udp",
        "ws",
        "wss",
    )
)
"""Names of protocols; anything else before a colon may be the name of a user."""

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z]+)://(?:(?P<user>[^/?#]*)@)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_.])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>(?:[/?#].*)?)",
    re.IGNORECASE | re.ASCII,
)
_AT = re.compile("@|%(25)*40")
_SECRET_KEY = re.compile(r"(?i)pass|pwd|pw\b|token|secret|key|auth|sig|credential")
_HASH_LETTERS = "ghjkmnpqrstvwxyz"  # 16 that no hexadecimal token has, and that make no words
_ROUNDS = 2_000


def show_url(url: str) -> str:
    """An address as people may see it: scheme, host and port, then ``#`` and six letters that stand for all the rest.

    The letters tell two addresses of one host apart, and are the same at each start. They come from user, path, query and fragment, but
    not from a password, which could be guessed by them. No other part is ever shown. An address that can be read in more than one way
    (an ``@`` behind the host, white space, a backslash) gives its scheme and the letters; one of no known scheme the letters alone.
    ``edge.text.scrub`` hides the parts that are left out, from here on.
    """
    _remember(url)
    match = _ADDRESS.fullmatch(url)
    scheme = url.partition(":")[0].lower() if ":" in url else ""
    if scheme not in SHOWN_SCHEMES:
        return f"#{fingerprint(url)}"
    if match is None or not _one_way(url, match):
        return f"{scheme}:#{fingerprint(url)}"
    port = f":{match['port']}" if match["port"] else ""
    user, rest = (match["user"] or "").partition(":")[0], "" if match["rest"] == "/" else match["rest"]
    letters = f"#{fingerprint(f'{user}@{rest}')}" if user or rest else ""
    return f"{scheme}://{match['host'].lower()}{port}{letters}"


@lru_cache(maxsize=256)
def fingerprint(text: str) -> str:
    """Six letters (24 bits) by which a text is known again. Slow on purpose: short secrets can be guessed."""
    digest = hashlib.pbkdf2_hmac("sha256", text.encode("utf-8", "surrogatepass"), b"shelfcam address", _ROUNDS)
    return "".join(_HASH_LETTERS[byte >> 4] + _HASH_LETTERS[byte & 15] for byte in digest[:3])


def _one_way(url: str, match: re.Match[str]) -> bool:
    """Whether nobody could take another part of ``url`` for its host."""
    if _AT.search(normalize("NFKC", match["rest"])) or "\\" in url or has_control(url) or any(c.isspace() for c in url):
        return False
    if match["port"] and int(match["port"]) > 65_535:
        return False
    if match["host"].startswith("["):
        import ipaddress

        try:
            ipaddress.IPv6Address(match["host"][1:-1])
        except ValueError:
            return False
    return True


def _remember(url: str) -> None:
    """Have ``scrub`` hide what is not shown of ``url``: whole, and in the pieces that libraries quote."""
    rest = url.partition("://")[2] or url.partition(":")[2]
    user, _, place = rest.rpartition("@")
    path = re.sub(r"^[^/?#]*", "", place)
    named = [item.partition("=") for item in re.split(r"[/?&;#_]", path)]
    pieces = [value for key, _, value in named if _SECRET_KEY.search(key)]
    # Shorter ones are words of any message and parts of any file's name.
    pieces += [piece for piece in (path, path[1:], *re.split(r"[/?&;=#]", path)) if len(piece) >= 8]
    if ":" in user:
        pieces += [user, user.partition(":")[2], _base64(unquote(user))]
    elif len(user) >= 8 and not user.isalpha():  # a token; a name alone is no secret, and may be a word of ours
        pieces.append(user)
    if len(path) > 1:
        pieces.append(rest)
    remember_secret(*pieces)


def _base64(text: str) -> str:
    """As in headers (RFC 7617)."""
    return b64encode(text.encode("utf-8", "replace")).decode("ascii")


def tls_context(ca_file: str | None, cert_file: str | None = None, key_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, with the server's name checked. ``ca_file`` None: the system's authorities.

    Raises:
        ConfigError: a file cannot be read, or is no certificate or key in PEM.
    """
    named = ", ".join(
        f"{key} {path}" for key, path in (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)) if path
    )
    import ssl  # here, like ipaddress: a camera that needs neither starts sooner

    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"{named}: {error}", fix="PEM files that the service's user can read; keys without a password"
        ) from error
    return context


def _no_password() -> str:
    """In the place of a prompt on the terminal."""
    raise ValueError("the key has a password")
