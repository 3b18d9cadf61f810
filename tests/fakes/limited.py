"""A child process that may hold only so much memory: what a bomb costs shows as an ending, not as a time."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python_limited(args: Sequence[str], megabytes: int, **kwargs: object) -> subprocess.CompletedProcess[str]:
    """``python ARGS`` with RLIMIT_DATA of so many megabytes, in the repository's root."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 1_000_000,) * 2)

    command = [sys.executable, *args]
    return subprocess.run(command, preexec_fn=limit, cwd=ROOT, capture_output=True, text=True, check=False, **kwargs)


def shelfcam_limited(args: Sequence[str], megabytes: int) -> subprocess.CompletedProcess[str]:
    """The command line program, likewise."""
    return python_limited(["-c", "import sys; from edge.cli import main; sys.exit(main(sys.argv[1:]))", *args], megabytes)
