"""The command as a user calls it: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.fakes.patience import patience_s


def shelfcam(*args: object, expect: int = 0, **kwargs) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
        **kwargs,
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def observations(text: str) -> list[dict]:
    return [event for event in map(json.loads, text.splitlines()) if event["kind"] == "observation"]
