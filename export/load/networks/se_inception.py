"""SE-BN-Inception: Hu et al., "Squeeze-and-excitation networks", 2018 (arXiv:1709.01507), table 3 and figure 2."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_REDUCTION = 16


def se_bninception(num_classes: int = 1000) -> nn.Module:
    """N×3×224×224 float32 → N×C logits: BN-Inception of pytorchcv with a squeeze-and-excitation block behind each of its ten
    Inception blocks. 11.9 M parameters, 46 MiB of float32, as the authors' table of models says."""
    from pytorchcv.models.bninception import bninception

    network: Any = bninception(num_classes=num_classes)
    for name, stage in network.features.named_children():
        if name.startswith("stage"):
            for unit_name, unit in list(stage.named_children()):
                setattr(stage, unit_name, nn.Sequential(unit, _SqueezeExcite(_outputs(unit))))
    made: nn.Module = network
    return made


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.excite = nn.Conv2d(channels // _REDUCTION, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))
        return x * torch.sigmoid(self.excite(weights))


def _outputs(unit: Any) -> int:
    """Channels of a pytorchcv Inception block: what its branches' last convolutions make, and what a bare pooling passes on."""
    inputs = next(layer.in_channels for layer in unit.modules() if isinstance(layer, nn.Conv2d))
    total = 0
    for branch in unit.branches.children():
        convolutions = [layer for layer in branch.modules() if isinstance(layer, nn.Conv2d)]
        total += convolutions[-1].out_channels if convolutions else inputs
    return total
