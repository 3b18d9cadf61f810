"""``python -m tests.fakes.other_trials HOW …``: shelfcam, whose trials of unknown models have another time limit, or no process to happen
in."""

from __future__ import annotations

import sys
from typing import Any

from edge import sandbox
from edge.choice import measure
from edge.cli import main

SOON = "soon"
"""Little patience: for models that never answer."""
PATIENT = "patient"
NO_CHILD = "no-child"
"""Nothing can be tried."""

_CHANGES: dict[str, tuple[Any, str, Any]] = {
    SOON: (measure, "START_S", 3),
    PATIENT: (measure, "START_S", 550),
    NO_CHILD: (sandbox.subprocess, "Popen", None),
}

if __name__ == "__main__":
    setattr(*_CHANGES[sys.argv[1]])
    raise SystemExit(main(sys.argv[2:]))
