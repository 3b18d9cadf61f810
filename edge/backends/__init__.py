"""The registry of inference runtimes; each is imported only when a candidate needs it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from edge.backends.base import ON_CPU, Backend, BackendFactory, Placement
from edge.bundle.manifest import Candidate

BACKENDS = {"onnx": "edge.backends.ort:OrtBackend", "tflite": "edge.backends.tflite:TfliteBackend"}
"""Model format → ``module:class``."""


def load_backend(model_file: Path, candidate: Candidate, threads: int, placement: Placement = ON_CPU) -> Backend:
    """The candidate, ready to run on ``threads`` CPU threads, or where ``placement`` says.

    Raises:
        ProviderError: the provider or delegate cannot be had here.
        BackendError: its runtime is not installed (names the pip extra) or cannot load the file.
        BundleError: the file's inputs or outputs are not those of the manifest.
    """
    module, _, attribute = BACKENDS[candidate.format].partition(":")
    factory = cast(BackendFactory, getattr(importlib.import_module(module), attribute))
    return factory(model_file, candidate, threads, placement)
