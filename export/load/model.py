"""A float network with everything that an export must know of it."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edge.errors import BackendError, DataError
from edge.manifest import Fit, Normalisation, TaskName

if TYPE_CHECKING:
    import torch

EXPORT_EXTRA = "pip install '.[export]' in a checkout of shelfcam"


@dataclass(frozen=True, slots=True)
class FloatModel:
    """A network before conversion.

    ``module`` is in eval mode and maps N×3×H×W float32, normalised as ``normalisation`` says (RGB), to N×C float32, for a
    classifier logits; H and W are ``size_hw_px`` and C is ``width``, for a classifier the number of ``labels``.
    ``fit`` says how a photo is brought to that size. ``checkpoint`` names the file that the weights came from.
    """

    name: str
    module: torch.nn.Module
    size_hw_px: tuple[int, int]
    normalisation: Normalisation
    labels: tuple[str, ...]
    checkpoint: str | None
    checkpoint_sha256: str | None
    licence: str | None
    width: int
    fit: Fit = "centre_crop"
    task: TaskName = "classify"
    weights: Literal["trained", "random"] = "trained"


def check_finite(module: torch.nn.Module, source: str) -> None:
    """Raises DataError that names the first weight with a value that is not finite: quantizing it would hide the damage."""
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise DataError(
                f"{source}: weight {key} has {bad} values that are NaN or infinite",
                fix="train again from the last checkpoint without them, or load another file",
            )


def import_extra(module: str) -> Any:
    """The module of that name. Raises BackendError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendError(f"exporting needs {module}: {error}", fix=EXPORT_EXTRA) from error


def need_torch() -> None:
    """Import PyTorch. Raises BackendError that says what to install, where it is absent."""
    # its threads spin while they wait, which makes everything many times slower where another process wants a core
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import_extra("torch")
