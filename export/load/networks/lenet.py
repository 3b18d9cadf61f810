"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition", 1998, figure 2."""

from __future__ import annotations

import torch
from torch import nn

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class LeNet5(nn.Module):
    """N×3×32×32 float32 → N×C logits.

    The paper's network reads grey digits. A camera gives RGB, so a fixed sum of the channels (BT.601 luma, not trained, no
    parameter) stands in front. As is usual today, every map of C3 reads every map of S2, the subsampling has no coefficients, and
    the output layer is linear: 61,706 parameters with 10 classes.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("luma", torch.tensor(_LUMA).reshape(1, 3, 1, 1))
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(16, 120, 5), nn.Tanh()),
        )
        self.dense = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As in the class's docstring."""
        grey = nn.functional.conv2d(x, self.get_buffer("luma"))
        logits: torch.Tensor = self.output(torch.tanh(self.dense(self.features(grey).flatten(1))))
        return logits
