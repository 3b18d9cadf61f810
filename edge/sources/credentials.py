"""Addresses without their credentials, for every message, log and metric."""

from __future__ import annotations

import re

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
