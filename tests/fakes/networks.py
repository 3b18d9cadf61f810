"""Networks that a user's own package could hold, for tests of ``package.module:factory``."""

from __future__ import annotations

import torch
from torch import nn

SIZE_PX = 32


def sized(num_classes: int = 5, *, width: int = 8) -> nn.Module:
    """A classifier that can be asked for any number of classes."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, num_classes),
    )


def fixed() -> nn.Module:
    """A classifier of five classes, and no others."""
    return sized(5)


def create_model(name: str, pretrained: bool = False, **kwargs: int) -> nn.Module:
    """Looks like timm's factory, whose signature does not name the number of classes: what is drawn depends on PyTorch's generator,
    what is trained does not."""
    module = {"sized": sized, "embedder": embedder}[name](**kwargs)
    if pretrained:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def embedder() -> nn.Module:
    """Ends in 12 numbers that are no classes."""
    return nn.Sequential(nn.Conv2d(3, 12, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def squeeze(num_classes: int = 5) -> nn.Module:
    """Ends as SqueezeNet does: 1×1 convolution, activation, pooling."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, num_classes, 1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Viewing(nn.Module):
    """Writes the batch into its shapes, as much older code does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = nn.functional.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        return self.head(x)


def broken() -> nn.Module:
    """A factory that fails."""
    raise RuntimeError("no such size")


def nothing() -> str:
    """A factory that makes no network."""
    return "network"


def two_answers() -> nn.Module:
    """Answers with a tuple, as networks with auxiliary classifiers do."""

    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.mean(dim=(2, 3)), x.mean(dim=(2, 3))

    return Two()
