"""The two small networks of the reference packages. Imported only for training: this module needs torch.

Both downsample with kernels centred between voxels, so that cell i of a map covers the voxels
stride * i .. stride * (i + 1) - 1: the half-pixel rule by which the library maps a coarse map onto the scan.
Weights are kept channels-last: torch's 3D backward is many times faster that way on a CPU.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Triple = tuple[int, int, int]
UNIT: Triple = (1, 1, 1)
FEATURE_STRIDE: Triple = (4, 4, 8)  # voxels of the input a cell of the classifier's features


def conv(inputs: int, outputs: int, kernel: Triple, stride: Triple = UNIT, dilation: Triple = UNIT) -> nn.Sequential:
    """Conv + batch norm (folded into the conv at export) + ReLU; padded so that size out = size in / stride."""
    sizes = zip(kernel, stride, dilation, strict=True)
    padding = tuple((d * (k - 1) + 1 - s + 1) // 2 for k, s, d in sizes)
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, stride, padding, dilation, bias=False), nn.BatchNorm3d(outputs), nn.ReLU()
    )


class Segmenter(nn.Module):
    """U-Net: image (B, 1, z, y, x) -> logits (B, 7, z, y, x). Halves depth and lateral three times, elevation once."""

    def __init__(self, width: int = 8, classes: int = 7) -> None:
        super().__init__()
        a, b, c, d = width, 2 * width, 3 * width, 4 * width
        flat, pool, cube = (1, 3, 3), (1, 2, 2), (2, 2, 2)
        self.enter = nn.Sequential(conv(1, a, (1, 5, 3)), conv(a, a, flat))
        self.down1 = nn.Sequential(conv(a, b, pool, pool), conv(b, b, flat))
        self.down2 = nn.Sequential(conv(b, c, cube, cube), conv(c, c, (3, 3, 3)))
        self.down3 = nn.Sequential(conv(c, d, pool, pool), conv(d, d, flat), conv(d, d, (1, 5, 3), dilation=(1, 2, 1)))
        self.up3, self.join3 = nn.ConvTranspose3d(d, c, pool, pool), conv(2 * c, c, flat)
        self.up2, self.join2 = nn.ConvTranspose3d(c, b, cube, cube), conv(2 * b, b, flat)
        self.up1, self.join1 = nn.ConvTranspose3d(b, a, pool, pool), conv(2 * a, a, flat)
        self.head = nn.Conv3d(a, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.enter(image)
        second = self.down1(first)
        third = self.down2(second)
        deep = self.down3(third)
        deep = self.join3(torch.cat([self.up3(deep), third], 1))
        deep = self.join2(torch.cat([self.up2(deep), second], 1))
        deep = self.join1(torch.cat([self.up1(deep), first], 1))
        return self.head(deep)


class Classifier(nn.Module):
    """image (B, C, z, y, x) -> logits (B, 2): convs, `features`, global average pool, one Linear.

    Nothing but the pool couples distant voxels (batch norm is a constant at inference), so the margin is an average of
    local evidence and Grad-CAM on `features` is exact. Along the layers the convs average early and widely, against
    speckle; in depth the features keep every fourth voxel (1 mm on the reference grid).
    """

    def __init__(self, channels: int, classes: int = 2) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, 8, (2, 4, 4), (2, 2, 4)),
            conv(8, 12, (1, 3, 3)),
            conv(12, 24, (2, 4, 4), (2, 2, 2)),
            conv(24, 24, (3, 3, 3)),
            conv(24, 24, (1, 5, 3), dilation=(1, 2, 1)),
        )
        self.linear = nn.Linear(24, classes)

    def features(self, image: Tensor) -> Tensor:
        return self.body(image)

    def forward(self, image: Tensor) -> Tensor:
        return self.linear(self.features(image).mean((2, 3, 4)))


def folded(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode with every batch norm folded into the conv before it."""
    module = copy.deepcopy(module).eval()
    for part in list(module.modules()):
        if isinstance(part, nn.Sequential) and len(part) == 3 and isinstance(part[1], nn.BatchNorm3d):
            part[0] = fuse_conv_bn_eval(part[0], part[1])
            part[1] = nn.Identity()
    return module
