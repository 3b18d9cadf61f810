"""Addresses and their credentials: put in from a file, and hidden in every message, log and metric."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from edge.errors import ConfigError

_SECRET = re.compile(r"(?i)\b((?:password|passwd|pwd|pass|user-pw|token|secret|api[_-]?key|auth)\s*=\s*)[^&\s,;]+")


def redact(uri: str) -> str:
    """``uri`` with its credentials shown as ``***``.

    Hides too much rather than too little: everything up to the last ``@`` (a password may hold any character), and the values
    of parameters such as ``password=`` and ``token=``.
    """
    scheme, slashes, rest = uri.partition("://")
    if not slashes:
        scheme, rest = "", uri
    before, at, host = rest.rpartition("@")
    if at and (slashes or ":" in before):
        rest = f"***@{host}"
    return _SECRET.sub(r"\1***", f"{scheme}{slashes}{rest}")


def with_password(uri: str, path: Path) -> str:
    """``scheme://user@host/…`` with the password that is the first line of ``path``, percent-encoded.

    Raises:
        ConfigError: the file cannot be read or is empty, or ``uri`` names no user or has a password already.
    """
    match = re.match(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://[^/@:?#]+)@", uri)
    if match is None:
        raise ConfigError(f"{redact(uri)}: has no place for the password of {path}", fix="write it as scheme://USER@host/path")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the password cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if not lines or not lines[0]:
        raise ConfigError(f"{path}: its first line should be the password, but is empty")
    return f"{match['start']}:{quote(lines[0], safe='')}{uri[match.end() - 1 :]}"
