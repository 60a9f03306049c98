"""What a user brings: networks of his own, found by import name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Net(nn.Module):
    """A small residual network; in-place activations and two results, as real ones have."""

    def __init__(self, channels: int = 1, dims: int = 3) -> None:
        super().__init__()
        conv = nn.Conv3d if dims == 3 else nn.Conv2d
        norm = nn.BatchNorm3d if dims == 3 else nn.BatchNorm2d
        self.stem = nn.Sequential(conv(channels, 4, 3, 1, 1), norm(4), nn.ReLU(inplace=True))
        self.body = nn.Sequential(conv(4, 6, 3, 2, 1), norm(6), nn.ReLU(inplace=True))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 2)

    def forward(self, image: torch.Tensor) -> Any:
        features = self.body(self.stem(image))
        return self.head(self.drop(features.flatten(2).mean(2))), features


def make(**arguments: Any) -> Net:
    """With norm statistics that are not 0 and 1."""
    torch.manual_seed(3)
    net = Net(**arguments)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    return net


def not_a_network() -> int:
    return 3
