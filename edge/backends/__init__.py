"""The registry of inference runtimes, by a file's format and the runtime's name; each is loaded only when a candidate needs it.

Whoever has to know something about the runtime of a candidate (where it can run, what it needs, whether it is there) asks ``runtime_of``
and compares no format. The lines stand in ``edge.bundle.runtimes``.
"""

from __future__ import annotations

import importlib
from typing import cast

from edge.backends.base import ON_CPU, Backend, Placement, Runtime
from edge.bundle.model_file import ModelFile
from edge.bundle.runtimes import RUNTIMES, RuntimeEntry, check_runtime, runtime_entry
from edge.manifest import Candidate, RuntimeKey


def runtime_of(candidate: Candidate) -> Runtime:
    """What is known of the candidate's runtime, whether it is installed or not. Raises BundleError if no line has it."""
    return _runtime(runtime_entry(candidate, f"candidates[{candidate.name}]"))


def every_runtime() -> dict[RuntimeKey, Runtime]:
    """Of every line, in their order."""
    return {key: _runtime(entry) for key, entry in RUNTIMES.items()}


def load_backend(model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement = ON_CPU) -> Backend:
    """The candidate, ready to run on ``threads`` CPU threads, or where ``placement`` says. It is loaded from the bytes given.

    Raises:
        ProviderError: the provider or delegate cannot be had here.
        BackendError: its runtime is not installed (names the pip extra) or cannot load the file.
        BundleError: the file is not one that may be loaded (``ModelFile.check``), its inputs or outputs are not those of the manifest, or
            the manifest names a runtime, or sets an option, that no bundle may.
    """
    check_runtime(candidate, f"{model_file.name}: candidates[{candidate.name}]")
    model_file.check(candidate.format)
    return runtime_of(candidate).load(model_file, candidate, threads, placement)


def _runtime(entry: RuntimeEntry) -> Runtime:
    module, _, name = entry.backend.partition(":")
    return cast(Runtime, getattr(importlib.import_module(module), name))
