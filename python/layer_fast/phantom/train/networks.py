"""The two small networks of the reference packages, in 3D or over slices. Imported only for training: needs torch.

Both downsample with kernels centred between voxels, so that cell i of a map covers the voxels
stride * i .. stride * (i + 1) - 1: the half-pixel rule by which the library maps a coarse map onto the scan.
Weights are kept channels-last: torch's 3D backward is many times faster that way on a CPU.

A 2D network has the layers of the 3D one without the first axis, z. It takes slices (B, C, y, x); `over_volume` runs
it over a volume (B, C, z, y, x), so that one training loop serves both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Size = tuple[int, ...]
UNIT: Size = (1, 1, 1)
FEATURE_STRIDE = {3: (4, 4, 8), 2: (1, 4, 8)}  # voxels of the input (z, y, x) a cell of the classifier's features
CHANNELS_LAST = {3: torch.channels_last_3d, 2: torch.channels_last}


class Kernels:
    """Layers of one number of spatial dimensions; sizes are given as (z, y, x) and cut to its axes."""

    def __init__(self, dims: int) -> None:
        self.dims = dims
        self.plain = nn.Conv3d if dims == 3 else nn.Conv2d
        self.upward = nn.ConvTranspose3d if dims == 3 else nn.ConvTranspose2d
        self.norm = nn.BatchNorm3d if dims == 3 else nn.BatchNorm2d

    def conv(
        self, inputs: int, outputs: int, kernel: Size, stride: Size = UNIT, dilation: Size = UNIT
    ) -> nn.Sequential:
        """Conv + batch norm (folded into the conv at export) + ReLU; padded so that size out = size in / stride."""
        kernel, stride, dilation = (size[-self.dims :] for size in (kernel, stride, dilation))
        sizes = zip(kernel, stride, dilation, strict=True)
        padding = tuple((d * (k - 1) + 1 - s + 1) // 2 for k, s, d in sizes)
        conv = self.plain(inputs, outputs, kernel, stride, padding, dilation, bias=False)  # type: ignore[arg-type]
        return nn.Sequential(conv, self.norm(outputs), nn.ReLU())

    def up(self, inputs: int, outputs: int, size: Size) -> nn.Module:
        return self.upward(inputs, outputs, size[-self.dims :], size[-self.dims :])  # type: ignore[arg-type]


class Segmenter(nn.Module):
    """U-Net: image (B, 1, [z,] y, x) -> logits (B, 7, [z,] y, x).

    Halves depth and lateral three times; in 3D elevation once.
    """

    def __init__(self, width: int = 8, classes: int = 7, dims: int = 3) -> None:
        super().__init__()
        self.dims = dims
        k = Kernels(dims)
        a, b, c, d = width, 2 * width, 3 * width, 4 * width
        flat, pool, cube = (1, 3, 3), (1, 2, 2), (2, 2, 2)
        self.enter = nn.Sequential(k.conv(1, a, (1, 5, 3)), k.conv(a, a, flat))
        self.down1 = nn.Sequential(k.conv(a, b, pool, pool), k.conv(b, b, flat))
        self.down2 = nn.Sequential(k.conv(b, c, cube, cube), k.conv(c, c, (3, 3, 3)))
        self.down3 = nn.Sequential(
            k.conv(c, d, pool, pool), k.conv(d, d, flat), k.conv(d, d, (1, 5, 3), dilation=(1, 2, 1))
        )
        self.up3, self.join3 = k.up(d, c, pool), k.conv(2 * c, c, flat)
        self.up2, self.join2 = k.up(c, b, cube), k.conv(2 * b, b, flat)
        self.up1, self.join1 = k.up(b, a, pool), k.conv(2 * a, a, flat)
        self.head = k.plain(a, classes, 1)

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
    """image (B, C, [z,] y, x) -> logits (B, 2): convs, `features`, global average pool, one Linear.

    Nothing but the pool couples distant voxels (batch norm is a constant at inference), so the margin is an average of
    local evidence and Grad-CAM on `features` is exact. Along the layers the convs average early and widely, against
    speckle; in depth the features keep every fourth voxel (1 mm on the reference grid). In 2D the mean over the slices'
    logits is the Linear of the mean over all slices' features: what trains on volumes is what runs on slices.
    """

    def __init__(self, channels: int, classes: int = 2, dims: int = 3) -> None:
        super().__init__()
        self.dims = dims
        k = Kernels(dims)
        self.body = nn.Sequential(
            k.conv(channels, 8, (2, 4, 4), (2, 2, 4)),
            k.conv(8, 12, (1, 3, 3)),
            k.conv(12, 24, (2, 4, 4), (2, 2, 2)),
            k.conv(24, 24, (3, 3, 3)),
            k.conv(24, 24, (1, 5, 3), dilation=(1, 2, 1)),
        )
        self.linear = nn.Linear(24, classes)

    def features(self, image: Tensor) -> Tensor:
        return self.body(image)

    def forward(self, image: Tensor) -> Tensor:
        return self.linear(spatial_mean(self.features(image)))


def spatial_mean(features: Tensor) -> Tensor:
    """(B, F, *spatial) -> (B, F)."""
    return features.mean(tuple(range(2, features.ndim)))


def over_volume(dims: int, step: Callable[[Tensor], Tensor], volume: Tensor) -> Tensor:
    """Run a step of a network on volumes (B, C, z, y, x): slice by slice along z where dims is 2."""
    if dims == 3:
        return step(volume.contiguous(memory_format=CHANNELS_LAST[3]))
    slices = volume.transpose(1, 2).flatten(0, 1)
    made = step(slices.contiguous(memory_format=CHANNELS_LAST[2]))
    return made.unflatten(0, (volume.shape[0], volume.shape[2])).transpose(1, 2)


def folded(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode with every batch norm folded into the conv before it."""
    module = copy.deepcopy(module).eval()
    for part in list(module.modules()):
        if isinstance(part, nn.Sequential) and len(part) == 3 and isinstance(part[1], nn.BatchNorm2d | nn.BatchNorm3d):
            part[0] = fuse_conv_bn_eval(part[0], part[1])
            part[1] = nn.Identity()
    return module
