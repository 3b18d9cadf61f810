"""How long-running steps tell how far they are, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Advance = Callable[[], None]
"""Called after each picture."""


class Progress(Protocol):
    """Starts a step of ``total`` pictures (or 1 for a step that cannot tell); the result is called after each."""

    def __call__(self, description: str, total: int) -> Advance:
        """Begin to show the step."""
        ...


def silent(description: str, total: int) -> Advance:  # noqa: ARG001 - the Protocol's
    """Shows nothing."""
    return lambda: None
