"""A network of four layers with everything that matters to a converter, and pictures that its weights are used by."""

from __future__ import annotations

import numpy as np
import torch

from edge.manifest import Normalisation
from export.load.model import FloatModel

SIZE = 32
CLASSES = ("crate", "jar", "bag", "tin", "gap")
GRID = Normalisation(mean=(127.0, 127.0, 127.0), scale=(128.0, 128.0, 128.0))
IMAGENET = Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375))


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.depthwise = torch.nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = torch.nn.Conv2d(16, 24, 1)
        self.head = torch.nn.Linear(24, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.relu6(self.norm(self.stem(x)))
        x = torch.nn.functional.relu6(self.depthwise(x))
        x = torch.nn.functional.relu6(self.pointwise(x))
        return self.head(x.mean(dim=(2, 3)))


def tiny_model(normalisation: Normalisation = GRID, seed: int = 0) -> FloatModel:
    generator = torch.Generator().manual_seed(seed)
    module = Tiny().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.5 if parameter.ndim > 1 else 0.2))
        module.norm.weight.abs_().add_(0.5)
        module.norm.running_var.copy_(torch.rand(16, generator=generator) + 0.5)
        module.head.weight.mul_(4)
    return FloatModel("tiny", module, (SIZE, SIZE), normalisation, CLASSES, "tiny.pth", "0" * 64, "Apache-2.0", len(CLASSES))


def pictures(count: int, seed: int) -> np.ndarray:
    """N×32×32×3 uint8: coloured ramps with noise, so that neighbouring pixels are correlated as in photographs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : SIZE * 1j, 0 : 1 : SIZE * 1j]
    slopes = rng.uniform(-120, 120, (count, 2, 1, 1, 3))
    ramps = slopes[:, 0] * y[..., None] + slopes[:, 1] * x[..., None] + rng.uniform(40, 215, (count, 1, 1, 3))
    return np.clip(ramps + rng.normal(0, 12, ramps.shape), 0, 255).astype(np.uint8)
