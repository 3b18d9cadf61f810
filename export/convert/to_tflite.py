"""PyTorch → TFLite."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from export.convert.core import Core
from export.convert.quiet import quiet
from export.convert.refusals import explained
from export.load.model import FloatModel


def core_to_tflite(model: FloatModel) -> bytes:
    """The core as a TFLite file: 1×H×W×3 float32 on the pixel grid → 1×C float32 logits.

    Raises:
        DataError: an operator cannot be converted; names it, its layer and what would do instead.
    """
    core = Core(model).eval()
    example = torch.zeros(1, *model.size_hw_px, 3)
    with (
        quiet(),
        tempfile.TemporaryDirectory(prefix="shelfcam-") as folder,
        explained("TFLite", core, example.permute(0, 3, 1, 2)),
    ):
        import litert_torch  # speaks while it is imported, too

        channel_last = litert_torch.to_channel_last_io(core, args=[0]).eval()
        path = Path(folder) / "core.tflite"
        litert_torch.convert(channel_last, (example,)).export(str(path))
        return path.read_bytes()
