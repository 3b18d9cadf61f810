"""Networks with channels enough to lose some."""

from __future__ import annotations

import torch


class Wide(torch.nn.Module):
    """Residual, squeeze-and-excitation, depthwise and grouped layers, each with channels enough to lose some."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(32)
        self.expand = torch.nn.Conv2d(32, 64, 1)
        self.depthwise = torch.nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.squeeze = torch.nn.Conv2d(64, 16, 1)
        self.excite = torch.nn.Conv2d(16, 64, 1)
        self.project = torch.nn.Conv2d(64, 32, 1)
        self.grouped = torch.nn.Conv2d(32, 48, 3, padding=1, groups=2)
        self.head = torch.nn.Linear(48, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        y = torch.relu(self.depthwise(torch.relu(self.expand(x))))
        y = y * torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        x = torch.relu(self.grouped(x + self.project(y)))
        return self.head(x.mean((2, 3)))


class Shuffled(Wide):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = x.reshape(len(x), 2, 16, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
        x = torch.relu(self.grouped(x))
        return self.head(x.mean((2, 3)))


class Normed(Wide):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.local_response_norm(torch.relu(self.stem(x)), 5, alpha=1.0)
        x = torch.relu(self.grouped(x))
        return self.head(x.mean((2, 3)))
