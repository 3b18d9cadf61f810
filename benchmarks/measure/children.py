"""Run a module of this project in a process of its own and read the one JSON object that it prints."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.errors import BackendError

T = TypeVar("T", bound=msgspec.Struct)

HOME = Path(__file__).resolve().parents[2]
"""``python -m`` imports from its working directory first: so it is the one that holds these packages, not the user's."""


class TooSlowError(BackendError):
    """A child took longer than it was granted, and was killed."""


def run_child(module: str, arguments: list[str], result: type[T], *, timeout_s: float) -> T:
    """``python -m module arguments…``.

    Raises:
        TooSlowError: it took longer than ``timeout_s``.
        BackendError: it failed (with its last line), or printed something else.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, cwd=HOME)
    except subprocess.TimeoutExpired as error:
        raise TooSlowError(f"{module} took longer than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        last = last_words(done.returncode, done.stderr.decode(errors="replace")) or "no message"
        raise BackendError(f"{module} ended with {done.returncode}: {last}")
    try:
        return msgspec.json.decode(done.stdout, type=result)
    except msgspec.DecodeError as error:
        raise BackendError(f"{module} did not print a result: {error}") from error


def last_words(exit_code: int, said: str) -> str:
    """Why a child ended, from its standard error: its last line that is not empty, as a traceback's is; empty where it said nothing.

    A process that was killed had no last word: what it said before is not the reason."""
    if exit_code == -signal.SIGKILL:
        return "killed, perhaps because memory ran out"
    return (said.strip().splitlines() or [""])[-1].strip()
