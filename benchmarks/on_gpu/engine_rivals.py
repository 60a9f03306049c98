"""PyTorch on a GPU as users write it: eager and compiled, float32 (without TF32) and half, device arrays in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], tuple[Any, ...]]


def resnet10() -> Any:
    """A 3D ResNet-10 with the stem and widths of MONAI's: image (B, 1, z, y, x) -> logits (B, 2)."""
    from torch import nn

    from rivals.torch_networks import Block, ResNet

    class ResNet10(ResNet):
        def __init__(self) -> None:
            super().__init__()
            norm = nn.BatchNorm3d
            self.stem = nn.Sequential(nn.Conv3d(1, 64, 7, 1, 3, bias=False), norm(64), nn.ReLU(True))
            widths = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
            self.stages = nn.Sequential(*(Block(a, b, norm, stride) for a, b, stride in widths))
            self.head = nn.Linear(512, 2)

    return ResNet10()


def exact() -> None:
    """No TF32 and no other reduced precision behind the user's back."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def calls(net: Any, image: np.ndarray, kind: str, *, compiled: bool, half: bool, device: str = "cuda") -> Call:
    """A call that gives (logits,) or (logits, map or gradient) and has finished when it returns."""
    import torch

    dtype = torch.float16 if half else torch.float32
    own = _copy(net).to(device, dtype)
    x = torch.from_numpy(image).to(device, dtype)
    whole = torch.compile(own) if compiled else own
    features = torch.nn.Sequential(own.stem, own.pool, own.stages)
    body = torch.compile(features) if compiled else features

    def forward() -> tuple[Any, ...]:
        with torch.inference_mode():
            return _done(whole(x))

    def gradcam() -> tuple[Any, ...]:
        """The gradient is taken down to the activation and no further, as ours."""
        with torch.no_grad():
            held = body(x)
        held = held.detach().requires_grad_()
        logits = own.head(held.mean((2, 3, 4)))
        (gradient,) = torch.autograd.grad(logits[:, 1].sum(), held)
        return _done(logits.detach(), (gradient.mean((2, 3, 4), keepdim=True) * held.detach()).sum(1))

    def gradient() -> tuple[Any, ...]:
        given = x.detach().requires_grad_()
        logits = whole(given)
        (found,) = torch.autograd.grad(logits[:, 1].sum(), given)
        return _done(logits.detach(), found)

    return {"forward": forward, "gradcam": gradcam, "gradient": gradient}[kind]


def _copy(net: Any) -> Any:
    import copy

    return copy.deepcopy(net).eval().requires_grad_(False)


def _done(*results: Any) -> tuple[Any, ...]:
    import torch

    if results[0].is_cuda:
        torch.cuda.synchronize()
    return results


def to_numpy(results: tuple[Any, ...]) -> list[np.ndarray]:
    """Float32 NumPy arrays of NumPy, CuPy or torch results."""
    found = []
    for value in results:
        host = value.get() if hasattr(value, "get") else value.cpu().numpy() if hasattr(value, "cpu") else value
        found.append(np.asarray(host, np.float32))
    return found
