"""Networks unlike those that the graphs were made for: what other people bring. Torch modules in 2D or 3D."""

from __future__ import annotations

from typing import Any

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:  # the tests that need torch are skipped with a reason
    nn = None  # type: ignore[assignment]

if nn is not None:

    class Gate(nn.Module):
        """Squeeze and excitation by convolutions, as the MobileNets have it."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.pool, self.down, self.up = nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1)

        def forward(self, x: Any) -> Any:
            return x * functional.hardsigmoid(self.up(functional.relu(self.down(self.pool(x)))))

    def inverted(a: int, b: int, stride: int) -> Any:
        wide = 3 * a
        return nn.Sequential(
            nn.Conv2d(a, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, wide, 5, stride, 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            Gate(wide),
            nn.Conv2d(wide, b, 1),
            nn.BatchNorm2d(b),
        )

    class MobileNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish(), inverted(8, 8, 2), inverted(8, 16, 1)
            )
            self.head = nn.Sequential(nn.Linear(16, 8), nn.Hardswish(), nn.Dropout(), nn.Linear(8, 2))

        def forward(self, x: Any) -> Any:
            return self.head(functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))

    class Transformer(nn.Module):
        """Patches, a class token, torch's own encoder layers."""

        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 16, 8, 8)
            self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, 2)

        def forward(self, x: Any) -> Any:
            patches = self.patches(x).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.places
            return self.head(self.encoder(tokens)[:, 0])

    class Attention(nn.Module):
        """Attention pooling, root-mean-square norm, products over all pairs of voxels."""

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv3d(1, 8, 3, 2, 1), nn.Tanh(), nn.Conv3d(8, 8, 3, 2, 1))
            self.weight, self.score, self.head = nn.Parameter(torch.rand(8) + 0.5), nn.Conv1d(8, 1, 1), nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            f = self.features(x)
            f = f * torch.rsqrt(f.pow(2).mean(1, keepdim=True) + 1e-6) * self.weight.reshape(1, -1, 1, 1, 1)
            f = f.flatten(2)
            pairs = torch.softmax(torch.einsum("bci,bcj->bij", f, f) / 8**0.5, -1)
            f = torch.einsum("bij,bcj->bci", pairs, f)
            return self.head((f * torch.softmax(self.score(f), -1)).sum(-1))

    class Picking(nn.Module):
        """Assignment to a slice, reordered channels, a rolled window, sampling at the nearest, the largest of a map."""

        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
            self.head = nn.Linear(12, 2)

        def forward(self, x: Any) -> Any:
            t = self.enter(x).clone()
            t[:, :2] = torch.tanh(t[:, 2:4])
            t = torch.roll(t[:, [5, 3, 1, 0, 2, 4]], (3, -2), (2, 3))
            t = self.leave(functional.interpolate(t, size=(21, 40), mode="nearest-exact")).flatten(2)
            first = torch.gather(t, 2, t.argmax(-1, keepdim=True)).squeeze(-1)
            return self.head(torch.cat([first, t.topk(5, -1)[0].mean(-1), t.std(-1)], 1))
