"""The headline's two networks in plain PyTorch, for machines without MONAI: layer for layer MONAI's UNet with one
residual unit a level and its resnet10, parameters in the same order, so that each takes the other's weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

CLASSES = 2
LABELS = 7
SEED = 1


def unit(a: int, b: int, stride: int = 1, *, plain: bool = False, transposed: bool = False) -> nn.Sequential:
    """A convolution of 3 x 3 x 3 with instance norm and PReLU; plain: the convolution alone."""
    if transposed:
        conv: Any = nn.ConvTranspose3d(a, b, 3, stride, 1, output_padding=stride - 1)
    else:
        conv = nn.Conv3d(a, b, 3, stride, 1)
    return nn.Sequential(conv) if plain else nn.Sequential(conv, nn.InstanceNorm3d(b), nn.PReLU())


class Residual(nn.Module):  # type: ignore[misc]
    """A unit and, added to it, the input, by a convolution where size or width change."""

    def __init__(self, a: int, b: int, stride: int = 1, *, plain: bool = False) -> None:
        super().__init__()
        self.body = unit(a, b, stride, plain=plain)
        kernel, padding = (1, 0) if stride == 1 else (3, 1)
        self.skip = nn.Identity() if (a, stride) == (b, 1) else nn.Conv3d(a, b, kernel, stride, padding)

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.skip(x)


class Level(nn.Module):  # type: ignore[misc]
    """Down by two, what lies below, and up again from both."""

    def __init__(self, a: int, b: int, widths: Sequence[int], *, top: bool) -> None:
        super().__init__()
        own, below = widths[0], widths[1]
        self.down = Residual(a, own, 2)
        last = len(widths) == 2
        self.below = Residual(own, below) if last else Level(own, own, widths[1:], top=False)
        up = unit(own + (below if last else own), b, 2, transposed=True)
        self.up = nn.Sequential(up, Residual(b, b, plain=top))

    def forward(self, x: Any) -> Any:
        fine = self.down(x)
        return self.up(torch.cat([fine, self.below(fine)], 1))


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions with batch norm and a skip."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv3d(a, b, 3, stride, 1, bias=False), nn.BatchNorm3d(b)
        self.second, self.second_norm = nn.Conv3d(b, b, 3, 1, 1, bias=False), nn.BatchNorm3d(b)
        self.act = nn.ReLU(inplace=True)
        change = nn.Sequential(nn.Conv3d(a, b, 1, stride), nn.BatchNorm3d(b))
        self.skip = nn.Identity() if (a, stride) == (b, 1) else change

    def forward(self, x: Any) -> Any:
        inner = self.act(self.first_norm(self.first(x)))
        return self.act(self.second_norm(self.second(inner)) + self.skip(x))


class ResNet10(nn.Module):  # type: ignore[misc]
    """Image (B, 1, z, y, x) -> logits (B, CLASSES); Grad-CAM is taken at `layer4`."""

    def __init__(self, width: float) -> None:
        super().__init__()
        a, b, c, d = (int(n * width) for n in (64, 128, 256, 512))
        self.stem = nn.Conv3d(1, a, 7, 1, 3, bias=False)
        self.norm, self.act = nn.BatchNorm3d(a), nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d(3, 2, 1)
        self.layers = nn.Sequential(Block(a, a, 1), Block(a, b, 2), Block(b, c, 2))
        self.layer4 = Block(c, d, 2)
        self.head = nn.Linear(d, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Any) -> Any:
        held = self.pool(self.act(self.norm(self.stem(x))))
        return self.head(self.layer4(self.layers(held)).mean((2, 3, 4)))


def networks(channels: Sequence[int], width: float) -> tuple[nn.Module, nn.Module]:
    """(U-Net with LABELS classes, ResNet-10), seeded, in evaluation mode: the same weights in every process."""
    torch.manual_seed(SEED)
    segmenter, classifier = Level(1, LABELS, channels, top=True), ResNet10(width)
    return segmenter.eval(), classifier.eval()


def give_weights(source: nn.Module, target: nn.Module) -> nn.Module:
    """Copy the weights in their order into a network of the same layers. Raises ValueError where they do not fit."""
    ours, theirs = source.state_dict(), target.state_dict()
    shapes = [[tuple(value.shape) for value in held.values()] for held in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"expected parameters of shapes {shapes[0]}, found {shapes[1]}")
    target.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))
    return target.eval()
