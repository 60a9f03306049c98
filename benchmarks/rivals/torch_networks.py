"""A 3D ResNet with batch norm and a 3D U-Net with instance norm, as many a paper writes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

INPLACE = True


class Block(nn.Module):  # type: ignore[misc]
    """Two 3 x 3 x 3 convolutions and a skip."""

    def __init__(self, a: int, b: int, norm: Any, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(a, b, 3, stride, 1, bias=False), norm(b), nn.ReLU(INPLACE), nn.Conv3d(b, b, 3, 1, 1), norm(b)
        )
        self.skip = nn.Conv3d(a, b, 1, stride) if stride > 1 or a != b else nn.Identity()
        self.act = nn.ReLU(INPLACE)

    def forward(self, x: Any) -> Any:
        return self.act(self.body(x) + self.skip(x))


class ResNet(nn.Module):  # type: ignore[misc]
    """Image (B, 1, z, y, x) -> logits (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm3d
        self.stem = nn.Sequential(nn.Conv3d(1, 16, 5, 2, 2, bias=False), norm(16), nn.ReLU(INPLACE))
        self.pool = nn.MaxPool3d(3, 2, 1)
        self.stages = nn.Sequential(Block(16, 16, norm), Block(16, 32, norm, 2), Block(32, 64, norm, 2))
        self.head = nn.Linear(64, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.stages(self.pool(self.stem(x))).mean((2, 3, 4)))


class UNet(nn.Module):  # type: ignore[misc]
    """Image (B, 1, z, y, x) -> logits (B, 7, z, y, x), two levels down."""

    def __init__(self) -> None:
        super().__init__()

        def norm(width: int) -> Any:
            return nn.InstanceNorm3d(width, affine=True)

        self.down = nn.MaxPool3d(2)
        self.up = nn.Upsample(scale_factor=2, mode="trilinear")
        self.enter, self.middle, self.deep = Block(1, 16, norm), Block(16, 32, norm), Block(32, 64, norm)
        self.rise, self.leave = Block(96, 32, norm), Block(48, 16, norm)
        self.head = nn.Conv3d(16, 7, 1)

    def forward(self, x: Any) -> Any:
        fine = self.enter(x)
        coarse = self.middle(self.down(fine))
        back = self.rise(torch.cat([coarse, self.up(self.deep(self.down(coarse)))], 1))
        return self.head(self.leave(torch.cat([fine, self.up(back)], 1)))


def resnet() -> ResNet:
    return ResNet()


def unet() -> UNet:
    return UNet()
