"""Skips for tests that need an inference runtime, whichever of its packages is installed."""

from __future__ import annotations

import pytest

from edge.backends.tflite import import_interpreter
from edge.errors import BackendError


def need_tflite() -> None:
    """Skip, with the reason, where neither LiteRT nor a working tflite-runtime is installed."""
    try:
        import_interpreter()
    except BackendError as error:
        pytest.skip(str(error))
