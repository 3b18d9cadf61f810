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

HOME = Path(__file__).resolve().parents[1]
"""``python -m`` imports from its working directory first: so it is the one that holds these packages, not the user's."""


def run_child(module: str, arguments: list[str], result: type[T], *, timeout_s: float) -> T:
    """``python -m module arguments…``.

    Raises:
        BackendError: it failed (with its last line), took longer than ``timeout_s``, or printed something else.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, cwd=HOME)
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{module} took longer than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        silent = "killed, perhaps because memory ran out" if done.returncode == -signal.SIGKILL else "no message"
        last = (done.stderr.decode(errors="replace").strip().splitlines() or [silent])[-1]
        raise BackendError(f"{module} ended with {done.returncode}: {last}")
    try:
        return msgspec.json.decode(done.stdout, type=result)
    except msgspec.DecodeError as error:
        raise BackendError(f"{module} did not print a result: {error}") from error
