"""The named networks of bench_graphs: small but realistic sizes, random weights from a fixed seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx

from quiet_export import to_onnx


@dataclass(frozen=True)
class GraphCase:
    """make() builds a torch module; shape is (batch, channels, *spatial); layer: the module that a CAM is taken of."""

    name: str
    make: Callable[[], Any]
    shape: tuple[int, ...]
    layer: str = ""


def _monai(name: str, **arguments: Any) -> Callable[[], Any]:
    def make() -> Any:
        from monai.networks import nets

        return getattr(nets, name)(**arguments)

    return make


def _resnet(name: str, width: float = 1.0, dims: int = 3) -> Callable[[], Any]:
    return _monai(name, spatial_dims=dims, n_input_channels=1, num_classes=2, widen_factor=width)


def _own(name: str) -> Callable[[], Any]:
    def make() -> Any:
        from rivals import torch_networks

        return getattr(torch_networks, name)()

    return make


_UNET = {"spatial_dims": 3, "in_channels": 1, "out_channels": 7}
_DYNUNET = {"kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2], "upsample_kernel_size": [2, 2, 2]}

GRADIENT = (
    GraphCase("ResNet 3D, batch norm, 48³", _own("resnet"), (1, 1, 48, 48, 48)),
    GraphCase("MONAI resnet10, width 0.25, 48³", _resnet("resnet10", 0.25), (1, 1, 48, 48, 48)),
    GraphCase("MONAI resnet10, width 0.25, 48³, batch 4", _resnet("resnet10", 0.25), (4, 1, 48, 48, 48)),
    GraphCase(
        "MONAI DynUNet, 32³", _monai("DynUNet", **_UNET, **_DYNUNET, filters=[16, 32, 64, 128]), (1, 1, 32, 32, 32)
    ),
    GraphCase("U-Net 3D, instance norm, trilinear, 32³", _own("unet"), (1, 1, 32, 32, 32)),
    GraphCase(
        "MONAI UNet, 32³",
        _monai("UNet", **_UNET, channels=(16, 32, 64, 128), strides=(2, 2, 2), num_res_units=2),
        (1, 1, 32, 32, 32),
    ),
    GraphCase("MONAI resnet18 2D, 128², batch 8", _resnet("resnet18", dims=2), (8, 1, 128, 128)),
)
CAM = (
    GraphCase("MONAI resnet10, width 0.25, 64³", _resnet("resnet10", 0.25), (1, 1, 64, 64, 64), "layer4"),
    GraphCase("MONAI resnet18, width 0.25, 64³", _resnet("resnet18", 0.25), (1, 1, 64, 64, 64), "layer4"),
    GraphCase("MONAI resnet10, 48³", _resnet("resnet10"), (1, 1, 48, 48, 48), "layer4"),
    GraphCase("MONAI resnet10, width 0.25, 48³, batch 4", _resnet("resnet10", 0.25), (4, 1, 48, 48, 48), "layer4"),
)
QUICK = (GraphCase("ResNet 3D, batch norm, 32³", _own("resnet"), (1, 1, 32, 32, 32), "stages"),)


@cache
def build(case: GraphCase) -> tuple[Any, onnx.ModelProto]:
    """The module in evaluation mode without trainable weights, and the same as ONNX with a dynamic batch."""
    import torch

    torch.manual_seed(1)
    net = case.make().eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    batch = {0: torch.export.Dim.DYNAMIC}
    return net, to_onnx(net, torch.zeros(2, *case.shape[1:]), dims=batch)
