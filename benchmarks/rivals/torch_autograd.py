"""What a user of PyTorch runs today: eager autograd for gradients, Captum for Grad-CAM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def set_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def forward_gradient(net: Any, image: Array, cotangent: Array) -> tuple[Array, Array]:
    """Logits and d(sum(cotangent * logits)) / d(image). Only the image asks for a gradient."""
    import torch

    x = torch.from_numpy(image).requires_grad_()
    logits = net(x)
    (gradient,) = torch.autograd.grad(logits, x, torch.from_numpy(cotangent))
    return logits.detach().numpy(), gradient.numpy()


def forward(net: Any, image: Array) -> Array:
    import torch

    with torch.inference_mode():
        return np.asarray(net(torch.from_numpy(image)).numpy())


def layer_gradcam(net: Any, layer: str, image: Array, target: int) -> Array:
    """Captum's LayerGradCam of one class without ReLU: (batch, *spatial)."""
    import torch
    from captum.attr import LayerGradCam

    found = LayerGradCam(net, net.get_submodule(layer)).attribute(
        torch.from_numpy(image), target=target, relu_attributions=False
    )
    return np.asarray(found.detach().numpy()[:, 0])
