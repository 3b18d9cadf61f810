"""SPEC on the command line → a float network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.manifest import Fit, Normalisation, TaskName
from export.tasks import DEFAULT_TASK


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which network, with which weights, and what the file cannot say of itself. None: as the network or its checkpoint says.

    ``spec`` is a zoo name, ``package.module:factory``, a ``.pt2`` ExportedProgram, a TorchScript file, or a ``.safetensors``
    checkpoint of this project that names its network itself, one of the zoo. At most one of ``weights``, ``pretrained`` and
    ``random_weights``.
    """

    spec: str
    weights: Path | None = None
    pretrained: bool = False
    random_weights: bool = False
    task: TaskName = DEFAULT_TASK
    num_classes: int | None = None
    size_hw_px: tuple[int, int] | None = None
    normalisation: Normalisation | None = None
    labels: Path | None = None
    fit: Fit | None = None
    seed: int = 0
