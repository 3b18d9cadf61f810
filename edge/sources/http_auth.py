"""Basic (RFC 7617) and Digest (RFC 7616, RFC 2069) authentication, as cameras ask for it over HTTP and RTSP."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

_CHALLENGE = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?:\s+(?=[^=\s,])|\s*(?=,|$))")
_PARAMETER = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))\s*")
_LONGEST = 4096  # of a header that is looked at
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256"}


_BY_DIGEST: set[tuple[str, str]] = set()
"""(Host and port, user) that was asked for by Digest since the process began."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme that a camera offers; ``scheme`` and the names of ``parameters`` in small letters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """The challenges in all ``WWW-Authenticate`` headers, each of which may hold several. What cannot be read is left out."""
    found: list[Challenge] = []
    for text in headers:
        text, position = text[:_LONGEST], 0
        while (start := _CHALLENGE.match(text, position)) is not None:
            position = start.end()
            parameters: dict[str, str] = {}
            while (parameter := _PARAMETER.match(text, position)) is not None:
                position = parameter.end()
                value = parameter[3] if parameter[2] is None else re.sub(r"\\(.)", r"\1", parameter[2])
                parameters.setdefault(parameter[1].lower(), value)
            found.append(Challenge(start[1].lower(), parameters))
    return found


class Login:
    """Credentials for one host, and what that host last asked for.

    Args:
        user: as it is, not encoded.
        password: likewise.
        plain_host: host and port, where the connection is not encrypted. One that was satisfied with Digest before does not get the
            password itself later: ``downgraded`` is set, and the challenge is not answered. None: it may.
    """

    def __init__(self, user: str, password: str, plain_host: str | None = None) -> None:
        self._user, self._password, self._host = user, password, plain_host
        self.downgraded = False
        self._challenge: Challenge | None = None
        self._count = 0

    def __repr__(self) -> str:
        return "Login(***)"

    @property
    def basic(self) -> bool:
        """Whether the password itself is sent."""
        return self._challenge is not None and self._challenge.scheme == "basic"

    def challenged(self, headers: Sequence[str]) -> bool:
        """Take note of the ``WWW-Authenticate`` headers; Digest goes before Basic. False: none of them can be answered."""
        offered = parse_challenges(headers)
        digests = [one for one in offered if _can_digest(one)]
        basics = [one for one in offered if one.scheme == "basic"]
        if self._host is not None and digests:
            _BY_DIGEST.add((self._host, self._user))
        self.downgraded = bool(basics and not digests) and (self._host, self._user) in _BY_DIGEST
        self._challenge, self._count = None if self.downgraded else next(iter([*digests, *basics]), None), 0
        return self._challenge is not None

    def header(self, method: str, uri: str) -> str | None:
        """The value of ``Authorization`` for a request; None while nobody asked."""
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{self._user}:{self._password}".encode()).decode("ascii")
        self._count += 1
        return self._digest(self._challenge.parameters, method, uri)

    def _digest(self, asked: dict[str, str], method: str, uri: str) -> str:
        algorithm = asked.get("algorithm", "MD5")
        name = algorithm.upper().removesuffix("-SESS")
        realm, nonce = asked.get("realm", ""), asked["nonce"]

        def h(text: str) -> str:
            return hashlib.new(_ALGORITHMS[name], text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()

        client_nonce, count = secrets.token_hex(8), f"{self._count:08x}"
        secret = h(f"{self._user}:{realm}:{self._password}")
        if name != algorithm.upper():
            secret = h(f"{secret}:{nonce}:{client_nonce}")
        request = h(f"{method}:{uri}")
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": uri}
        if "qop" in asked:
            fields["response"] = h(f"{secret}:{nonce}:{count}:{client_nonce}:auth:{request}")
        else:
            fields["response"] = h(f"{secret}:{nonce}:{request}")
        if "opaque" in asked:
            fields["opaque"] = asked["opaque"]
        if "qop" in asked or name != algorithm.upper():
            fields["cnonce"] = client_nonce
        quoted = [f'{key}="{_escaped(value)}"' for key, value in fields.items()]
        plain = [f"algorithm={algorithm}"] if "algorithm" in asked else []
        plain += ["qop=auth", f"nc={count}"] if "qop" in asked else []
        return "Digest " + ", ".join([*quoted, *plain])


def login_of(user: str | None, password: str, host_port: str, *, tls: bool) -> Login | None:
    """For an address; None where it names no user."""
    return None if user is None else Login(user, password, None if tls else host_port)


def _can_digest(challenge: Challenge) -> bool:
    asked = challenge.parameters
    known = asked.get("algorithm", "MD5").upper().removesuffix("-SESS") in _ALGORITHMS
    offers = [one.strip().lower() for one in asked.get("qop", "auth").split(",")]
    return challenge.scheme == "digest" and "nonce" in asked and known and "auth" in offers


def _escaped(value: str) -> str:
    """For a quoted string in a header: no line can be begun from within it."""
    return re.sub(r"[\x00-\x1f\x7f]", "", value).replace("\\", "\\\\").replace('"', '\\"')
