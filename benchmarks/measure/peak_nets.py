"""Networks that do nothing but multiply: what a runtime reaches on them is the most that a real network can hope for.

Factories for ``shelfcam export benchmarks.measure.peak_nets:conv_3x3``, so that the files come out exactly as those of the networks
that they are held beside. Needs the export extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.load.model import import_extra

if TYPE_CHECKING:
    import torch

SIDE_PX = 32
REPEATS = 4  # so that the layers before and after them are less than one hundredth of the products
CLASSES = 10


def conv_3x3() -> torch.nn.Module:
    """Four 3×3 convolutions, 256 → 256 channels at 32×32: 4 × 32·32·256·256·9 = 2.4e9 multiply-accumulates."""
    return _network(channels=256, kernel=3)


def conv_1x1() -> torch.nn.Module:
    """Four 1×1 convolutions, 512 → 512 channels at 32×32: 4 × 32·32·512·512 = 1.1e9 multiply-accumulates, plain matrix
    products without overlapping windows."""
    return _network(channels=512, kernel=1)


def _network(*, channels: int, kernel: int) -> torch.nn.Module:
    nn = import_extra("torch").nn
    layers = [nn.Conv2d(3, channels, 1), nn.ReLU()]
    for _ in range(REPEATS):
        layers += [nn.Conv2d(channels, channels, kernel, padding=kernel // 2), nn.ReLU()]
    built: torch.nn.Module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    return built
