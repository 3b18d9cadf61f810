"""Errors say who acts; each family carries the exit code that the process ends with.

Codes follow sysexits.h where it has one (https://man.freebsd.org/sysexits), so that a systemd unit can tell "a person must
change something" (no restart) from "try again" (restart).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from edge.text import safe_text


class ExitCode(IntEnum):
    """Every exit code that a shelfcam command can end with."""

    OK = 0
    USAGE = 64  # the command line cannot be understood
    DATA = 65  # a bundle, model, image or list is not what it should be; or no candidate passes its gate
    NO_INPUT = 66  # a file or directory that was named does not exist or cannot be read
    UNAVAILABLE = 69  # a camera or an inference runtime is not there, or stopped working: restarting may help
    OUTPUT = 74  # an output cannot be written
    CONFIG = 78  # the configuration is wrong
    INTERRUPTED = 130  # Ctrl-C in a command that had not finished (128 + SIGINT, the shell's convention)


class ShelfcamError(Exception):
    """Root of all errors that shelfcam raises on purpose. What it says may quote strangers: secrets that the process knows are hidden in
    it and control characters escaped (``edge.text.safe_text``), wherever it goes then: a terminal, the journal, an event, a page.

    Args:
        message: what is wrong, naming the file and the key, on one line.
        fix: what the reader can do about it, as an imperative; shown on a line of its own.
        details: lines that follow the message.
    """

    exit_code = ExitCode.DATA

    def __init__(self, message: str, *, fix: str | None = None, details: Iterable[str] = ()) -> None:
        super().__init__("\n".join(safe_text(line.rstrip()) for line in (message, *details)))
        self.fix = None if fix is None else safe_text(fix)


class UsageError(ShelfcamError):
    """The command line cannot be understood: the caller acts."""

    exit_code = ExitCode.USAGE


class ConfigError(ShelfcamError):
    """The device's configuration is wrong: the integrator acts."""

    exit_code = ExitCode.CONFIG


class BundleError(ShelfcamError):
    """A bundle or a model file is not what it claims to be: the exporter acts."""

    exit_code = ExitCode.DATA


class GateError(BundleError):
    """No candidate passes its gate on this machine: the exporter acts."""


class DataError(ShelfcamError):
    """An image, a list or a label file cannot be used: whoever supplied it acts."""

    exit_code = ExitCode.DATA


class InputMissingError(ShelfcamError):
    """A file or directory that was named is not there: the caller acts."""

    exit_code = ExitCode.NO_INPUT


class SourceError(ShelfcamError):
    """A camera cannot be opened or stopped delivering: retried, then restarted."""

    exit_code = ExitCode.UNAVAILABLE


class BackendError(ShelfcamError):
    """An inference runtime is missing or failed: restarted."""

    exit_code = ExitCode.UNAVAILABLE


class ProviderError(BackendError):
    """A provider or delegate cannot be had on this machine, whatever the model: the CPU goes on, unless the site insists."""


class BusyError(ShelfcamError):
    """Another process has this camera's state: it stops, or the integrator gives one of them another name."""

    exit_code = ExitCode.UNAVAILABLE


class SinkError(ShelfcamError):
    """Events or files cannot be written: the integrator acts (disk, permissions)."""

    exit_code = ExitCode.OUTPUT
