"""The registry of inference runtimes; each is imported only when a candidate needs it."""

from __future__ import annotations

import importlib
from typing import cast

from edge.backends.base import ON_CPU, Backend, BackendFactory, Placement
from edge.bundle.manifest import Candidate
from edge.bundle.model_file import ModelFile

BACKENDS = {"onnx": "edge.backends.ort:OrtBackend", "tflite": "edge.backends.tflite:TfliteBackend"}
"""Model format → ``module:class``."""


def load_backend(model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement = ON_CPU) -> Backend:
    """The candidate, ready to run on ``threads`` CPU threads, or where ``placement`` says. It is loaded from the bytes given.

    Raises:
        ProviderError: the provider or delegate cannot be had here.
        BackendError: its runtime is not installed (names the pip extra) or cannot load the file.
        BundleError: the file is not one that may be loaded (``ModelFile.check``), its inputs or outputs are not those of the manifest, or
            the manifest sets an option that no bundle may set.
    """
    module, _, attribute = BACKENDS[candidate.format].partition(":")
    factory = cast(BackendFactory, getattr(importlib.import_module(module), attribute))
    return factory(model_file, candidate, threads, placement)
