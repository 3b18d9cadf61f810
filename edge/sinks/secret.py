"""Secrets that a sink reads from files, so that none stands in a config, a process list or a log."""

from __future__ import annotations

import ssl
from pathlib import Path

from edge.errors import ConfigError


def read_secret(path: str, key: str) -> bytes:
    """The first line of a file, without its line break. Raises ConfigError naming ``key``: it cannot be read, or is empty."""
    try:
        secret = Path(path).read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise ConfigError(
            f"{key} {path}: {error.strerror or error}", fix="make it readable for the service's user, and nobody else"
        ) from error
    if not secret:
        raise ConfigError(f"{key} {path}: is empty", fix="its first line is the secret")
    return secret


def read_password(path: str, key: str) -> str:
    """``read_secret`` as text. Raises ConfigError also where it is no UTF-8."""
    try:
        return read_secret(path, key).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key} {path}: is no UTF-8", fix="write the password as UTF-8 text") from error


def tls_context(ca_file: str | None, cert_file: str | None = None, key_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, with the server's name checked. ``ca_file`` None: the system's authorities.

    Raises:
        ConfigError: a file cannot be read, or is no certificate or key in PEM.
    """
    named = ", ".join(
        f"{key} {path}" for key, path in (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)) if path
    )
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
