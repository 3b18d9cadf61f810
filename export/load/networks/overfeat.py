"""OverFeat, the fast model: Sermanet et al., "OverFeat: integrated recognition, localization and detection using convolutional
networks", 2013 (arXiv:1312.6229), table 1."""

from __future__ import annotations

import torch
from torch import nn


class OverFeat(nn.Module):
    """N×3×231×231 float32 → N×C logits; 146 M parameters with 1,000 classes (the paper's table 4)."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(96, 256, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(256, 512, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(512, 1024, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(1024, 1024, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.dense = nn.Sequential(
            *(nn.Linear(1024 * 6 * 6, 3072), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(3072, 4096), nn.ReLU(), nn.Dropout(0.5)),
        )
        self.output = nn.Linear(4096, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As in the class's docstring."""
        logits: torch.Tensor = self.output(self.dense(self.features(x).flatten(1)))
        return logits
