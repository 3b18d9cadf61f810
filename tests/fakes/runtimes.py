"""Skips for tests that need what is not installed everywhere."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from edge.backends.tflite import import_interpreter
from edge.errors import BackendError


def need_tflite() -> None:
    """Skip, with the reason, where neither LiteRT nor a working tflite-runtime is installed."""
    try:
        import_interpreter()
    except BackendError as error:
        pytest.skip(str(error))


def need(*packages: str) -> None:
    """Skip, a whole module too, where one of these is not installed. None is imported: some take seconds, and not every test that stands
    beside needs them."""
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed", allow_module_level=True)
