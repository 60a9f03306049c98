"""Small networks of our own, torch modules in 2D or 3D."""

from __future__ import annotations

from typing import Any

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:  # the tests that need torch are skipped with a reason
    nn = None  # type: ignore[assignment]

if nn is not None:
    ACTIVATIONS: dict[str, Any] = {
        "relu": nn.ReLU,
        "silu": nn.SiLU,
        "gelu": nn.GELU,
        "mish": nn.Mish,
        "elu": nn.ELU,
        "softplus": nn.Softplus,
        "leaky": lambda: nn.LeakyReLU(0.1),
        "hardswish": nn.Hardswish,
    }

    def conv(dims: int, *arguments: Any, **options: Any) -> Any:
        return (nn.Conv2d if dims == 2 else nn.Conv3d)(*arguments, **options)

    def norm(dims: int, kind: str, width: int) -> Any:
        if kind == "group":
            return nn.GroupNorm(2, width)
        name = {"batch": "BatchNorm", "instance": "InstanceNorm"}[kind]
        return getattr(nn, f"{name}{dims}d")(width, affine=True)

    class Squeeze(nn.Module):
        """Squeeze and excitation."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.down, self.up = nn.Linear(width, 4), nn.Linear(4, width)

        def forward(self, x: Any) -> Any:
            s = x.mean(tuple(range(2, x.dim())))
            s = functional.hardsigmoid(self.up(functional.relu(self.down(s))))
            return x * s.reshape(*s.shape, *[1] * (x.dim() - 2))

    class Block(nn.Module):
        def __init__(self, dims: int, a: int, b: int, kind: str, act: str, stride: int = 1, squeeze: bool = False):
            super().__init__()
            self.body = nn.Sequential(
                conv(dims, a, b, 3, stride, 1, bias=False),
                norm(dims, kind, b),
                ACTIVATIONS[act](),
                conv(dims, b, b, 3, 1, 1, bias=False),
                norm(dims, kind, b),
                Squeeze(b) if squeeze else nn.Identity(),
            )
            self.skip = conv(dims, a, b, 1, stride) if stride > 1 or a != b else nn.Identity()
            self.act = ACTIVATIONS[act]()

        def forward(self, x: Any) -> Any:
            return self.act(self.body(x) + self.skip(x))

    class ResNet(nn.Module):
        def __init__(self, dims: int, kind: str, act: str = "relu", pool: str = "max", squeeze: bool = False):
            super().__init__()
            self.stem = conv(dims, 1 if dims == 3 else 3, 8, 5, 1, 2)
            self.pool = getattr(nn, f"{'Max' if pool == 'max' else 'Avg'}Pool{dims}d")(3, 2, 1)
            self.stages = nn.Sequential(
                Block(dims, 8, 8, kind, act, 1, squeeze), Block(dims, 8, 16, kind, act, 2, squeeze)
            )
            self.head = nn.Linear(16, 2)
            self.axes = tuple(range(2, 2 + dims))

        def forward(self, x: Any) -> Any:
            return self.head(self.stages(self.pool(self.stem(x))).mean(self.axes))

    class UNet(nn.Module):
        def __init__(self, dims: int, kind: str, act: str = "relu", up: str = "transposed"):
            super().__init__()
            self.enter = Block(dims, 1 if dims == 3 else 3, 6, kind, act)
            self.down = getattr(nn, f"{'Avg' if act != 'relu' else 'Max'}Pool{dims}d")(2)
            self.deep = Block(dims, 6, 12, kind, act)
            if up == "transposed":
                self.up = getattr(nn, f"ConvTranspose{dims}d")(12, 6, 2, 2)
            else:
                sampling = nn.Upsample(scale_factor=2, mode=up)
                self.up = nn.Sequential(sampling, conv(dims, 12, 6, 1))
            self.leave = nn.Sequential(Block(dims, 12, 6, kind, act), conv(dims, 6, 3, 1))

        def forward(self, x: Any) -> Any:
            skip = self.enter(x)
            return self.leave(torch.cat([skip, self.up(self.deep(self.down(skip)))], 1))

    class LayerNormFirst(nn.Module):
        """Layer normalisation over the channels of (B, C, *spatial)."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(width)

        def forward(self, x: Any) -> Any:
            return self.norm(x.movedim(1, -1)).movedim(-1, 1)

    class NextBlock(nn.Module):
        def __init__(self, dims: int, width: int) -> None:
            super().__init__()
            self.spatial, self.norm = conv(dims, width, width, 7, 1, 3, groups=width), nn.LayerNorm(width)
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.gamma = nn.Parameter(torch.rand(width))

        def forward(self, x: Any) -> Any:
            h = self.norm(self.spatial(x).movedim(1, -1))
            return x + (self.gamma * self.narrow(functional.gelu(self.wide(h)))).movedim(-1, 1)

    class ConvNext(nn.Module):
        def __init__(self, dims: int) -> None:
            super().__init__()
            self.stem = nn.Sequential(conv(dims, 1 if dims == 3 else 3, 8, 4, 4), LayerNormFirst(8))
            self.stages = nn.Sequential(
                NextBlock(dims, 8), LayerNormFirst(8), conv(dims, 8, 16, 2, 2), NextBlock(dims, 16)
            )
            self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.norm(self.stages(self.stem(x)).flatten(2).mean(2)))

    class Vgg(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"),
                nn.ReLU6(),
                nn.MaxPool2d(2),
                nn.Conv2d(8, 16, 3, padding=2, dilation=2),
                nn.PReLU(16),
                nn.MaxPool2d(3, 2, ceil_mode=True),
                nn.Conv2d(16, 16, 3, padding=1, groups=4),
                nn.SELU(),
            )
            self.head = nn.Sequential(
                nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(256, 8), nn.Tanh(), nn.Linear(8, 2)
            )

        def forward(self, x: Any) -> Any:
            return self.head(self.features(x))
