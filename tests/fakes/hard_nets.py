"""Networks of a few layers that 8 bits hurt, each in its own way."""

from __future__ import annotations

from dataclasses import replace

import torch

from export.load.model import FloatModel
from tests.fakes.tiny_net import GRID, tiny_model

OUTLIER = 40.0


class Uneven(torch.nn.Module):
    """Channels of very different size share one step between two convolutions: equalisation is made for it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.depthwise = torch.nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = torch.nn.Conv2d(16, 24, 1)
        self.head = torch.nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.depthwise(x))
        x = torch.relu(self.pointwise(x))
        return self.head(x.mean(dim=(2, 3)))


def uneven_model() -> FloatModel:
    """``tiny_model`` with ReLU, half of whose channels are ``OUTLIER`` times larger behind the stem and as much smaller again before
    they are summed: in float it is as tame as before."""
    tame = tiny_model(GRID)
    module = Uneven().eval()
    module.load_state_dict(tame.module.state_dict())
    with torch.no_grad():
        module.norm.weight[::2] *= OUTLIER
        module.norm.bias[::2] *= OUTLIER
        module.depthwise.weight[::2] /= OUTLIER
        module.depthwise.weight[1::2] *= 4  # what is small in 8 bits matters for the answer
    return replace(tame, module=module)


class Viewing(Uneven):
    """Flattens with ``view``, which needs channels first in memory, as AlexNet and VGG do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.norm(self.stem(x)))))
        flat = torch.relu(self.pointwise(x)).view(x.size(0), -1)
        return self.head(flat.view(x.size(0), self.head.in_features, -1).mean(dim=2))


def viewing_model() -> FloatModel:
    """``tiny_model`` with ReLU that flattens with ``view``."""
    tame = tiny_model(GRID)
    module = Viewing().eval()
    module.load_state_dict(tame.module.state_dict())
    return replace(tame, module=module)
