"""The command as a user calls it: in a process of its own."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.fakes.kept import Kept
from tests.fakes.patience import patience_s


def shelfcam(
    *args: object, expect: int | None = 0, env: dict[str, str] | None = None, module: str = "edge.cli"
) -> subprocess.CompletedProcess[str]:
    """A process with its own streams and exit code (``expect``, unless None), forked from one that has imported what commands import.
    With ``env``, which may change what can be imported, a new interpreter. ``module``: what runs the command."""
    line = [sys.executable, "-m", module, *map(str, args)]
    if env is None:
        done = _forked(line)
    else:
        done = subprocess.run(line, capture_output=True, text=True, timeout=patience_s(), check=False, env=env)
    assert expect in (None, done.returncode), f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def _forked(line: list[str]) -> subprocess.CompletedProcess[str]:
    with _interpreter().popen(line) as child, ThreadPoolExecutor(1) as reader:
        late = threading.Timer(patience_s(), child.kill)
        late.start()
        child.stdin.close()
        error = reader.submit(child.stderr.read)
        out = child.stdout.read()
        code = child.wait()
        late.cancel()
    return subprocess.CompletedProcess(line, code, out.decode(), error.result().decode())


@functools.cache
def _interpreter() -> Kept:
    kept = Kept(
        "edge.cli",
        "edge.commands.run",
        "edge.commands.choose",
        "edge.commands.evaluate",
        "edge.commands.check",
        "edge.commands.doctor",
        "edge.commands.sort",
        "edge.backends.ort",
    )
    atexit.register(kept.close)
    return kept


def observations(text: str) -> list[dict]:
    return [event for event in map(json.loads, text.splitlines()) if event["kind"] == "observation"]
