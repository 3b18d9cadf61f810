"""The part of a network that is quantized, and the one grid on which all networks receive their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from edge.data import U8Image
from edge.manifest import Normalisation
from export.candidates import PIXEL_GRID as PIXEL_GRID  # noqa: PLC0414 - others take it from here

if TYPE_CHECKING:
    from export.load.model import FloatModel

F32 = npt.NDArray[np.float32]

INPUT_NAME = "image"


class Core(torch.nn.Module):
    """N×3×H×W float32 on the pixel grid → N×C logits."""

    def __init__(self, model: FloatModel) -> None:
        """A network that was trained with another normalisation gets the per-channel step from the grid to its own in front."""
        super().__init__()
        self.network = model.module
        gain, offset = _from_grid(model.normalisation)
        self.identity = bool(np.all(gain == 1) and np.all(offset == 0))
        self.register_buffer("gain", torch.from_numpy(gain.reshape(1, 3, 1, 1)))
        self.register_buffer("offset", torch.from_numpy(offset.reshape(1, 3, 1, 1)))

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """``grid`` as in the class's docstring."""
        logits: torch.Tensor = self.network(grid if self.identity else grid * self.gain + self.offset)
        return logits


def _from_grid(normalisation: Normalisation) -> tuple[F32, F32]:
    """(gain, offset), each float32 of length 3: (pixel − mean) / scale = gain × real + offset for pixel = real × 128 + 127."""
    mean, scale = np.asarray(normalisation.mean), np.asarray(normalisation.scale)
    gain = 1 / (PIXEL_GRID.scale * scale)
    offset = (PIXEL_GRID.zero_point - mean) / scale
    return gain.astype(np.float32), offset.astype(np.float32)


def to_grid(images: U8Image) -> F32:
    """N×H×W×3 uint8 RGB → N×H×W×3 float32 on the pixel grid."""
    return np.asarray((images.astype(np.float32) - PIXEL_GRID.zero_point) * PIXEL_GRID.scale, dtype=np.float32)


def float_logits(model: FloatModel, images: U8Image, batch: int = 8) -> F32:
    """What the float PyTorch model answers: N×H×W×3 uint8 RGB at the model's size → N×C float32 logits.

    It is fed contiguous N×3×H×W: a network that flattens with ``view`` (AlexNet) refuses pictures that lie in memory channels last.
    """
    mean, scale = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (model.normalisation.mean, model.normalisation.scale))
    rows = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + batch])).permute(0, 3, 1, 2)
            pixels = pixels.contiguous()
            rows.append(model.module((pixels.float() - mean) / scale).numpy())
    return np.concatenate(rows).astype(np.float32)
