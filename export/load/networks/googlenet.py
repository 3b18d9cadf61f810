"""GoogLeNet (Inception v1): Szegedy et al., "Going deeper with convolutions", 2014 (arXiv:1409.4842), table 1."""

from __future__ import annotations

import torch
from torch import nn

# (inputs, 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection) per block: the paper's table 1
_STAGE_3 = {"inception3a": (192, 64, 96, 128, 16, 32, 32), "inception3b": (256, 128, 128, 192, 32, 96, 64)}
_STAGE_4 = {
    "inception4a": (480, 192, 96, 208, 16, 48, 64),
    "inception4b": (512, 160, 112, 224, 24, 64, 64),
    "inception4c": (512, 128, 128, 256, 24, 64, 64),
    "inception4d": (512, 112, 144, 288, 32, 64, 64),
    "inception4e": (528, 256, 160, 320, 32, 128, 128),
}
_STAGE_5 = {"inception5a": (832, 256, 160, 320, 32, 128, 128), "inception5b": (832, 384, 192, 384, 48, 128, 128)}
_BATCH_NORM_EPS = 0.001


class GoogLeNet(nn.Module):
    """N×3×224×224 float32 → N×C logits.

    As TensorFlow's Slim and torchvision build it: batch normalisation in the place of local response normalisation, 3×3 filters in
    the "5×5" branch. Layer names are torchvision's, so that its weights fit; 6,624,904 parameters with 1,000 classes. The auxiliary
    classifiers, which only train, are left out.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = _Conv(3, 64, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = _Conv(64, 64, 1)
        self.conv3 = _Conv(64, 192, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        for name, widths in _STAGE_3.items():
            self.add_module(name, _Inception(widths))
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        for name, widths in _STAGE_4.items():
            self.add_module(name, _Inception(widths))
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        for name, widths in _STAGE_5.items():
            self.add_module(name, _Inception(widths))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As in the class's docstring."""
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        for name in _STAGE_3:
            x = self.get_submodule(name)(x)
        x = self.maxpool3(x)
        for name in _STAGE_4:
            x = self.get_submodule(name)(x)
        x = self.maxpool4(x)
        for name in _STAGE_5:
            x = self.get_submodule(name)(x)
        logits: torch.Tensor = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return logits


class _Inception(nn.Module):
    def __init__(self, widths: tuple[int, int, int, int, int, int, int]) -> None:
        super().__init__()
        inputs, one, reduce3, three, reduce5, five, pool = widths
        self.branch1 = _Conv(inputs, one, 1)
        self.branch2 = nn.Sequential(_Conv(inputs, reduce3, 1), _Conv(reduce3, three, 3, padding=1))
        self.branch3 = nn.Sequential(_Conv(inputs, reduce5, 1), _Conv(reduce5, five, 3, padding=1))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1, ceil_mode=True), _Conv(inputs, pool, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.bn(self.conv(x)))
