"""Networks that the graphs room is tried on: small widths, random weights, norm statistics far from 0 and 1.

Every entry builds a torch module in evaluation mode and an input; torch and MONAI are imported on use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from graphs import foreign, nets


@dataclass(frozen=True)
class Entry:
    """One network. `layer` names the module whose output is the CAM activation; `smooth` means no kinks."""

    make: Callable[[], Any]
    shape: tuple[int, ...]
    layer: str | None = None
    smooth: bool = False
    needs: str = "torch"
    quick: bool = False
    opset: int = 18
    dynamic: bool = False
    note: dict[str, str] = field(default_factory=dict)


def _monai(name: str, **arguments: Any) -> Callable[[], Any]:
    def make() -> Any:
        import monai.networks.nets as networks

        return getattr(networks, name)(**arguments)

    return make


def _resnet(name: str, **arguments: Any) -> Callable[[], Any]:
    return _monai(name, n_input_channels=1, num_classes=2, **arguments)


SEG = {"spatial_dims": 3, "in_channels": 1, "out_channels": 3}

ZOO: dict[str, Entry] = {
    "resnet3d_bn": Entry(lambda: nets.ResNet(3, "batch"), (2, 1, 16, 20, 17), "stages", quick=True, dynamic=True),
    "resnet3d_gn_silu": Entry(lambda: nets.ResNet(3, "group", "silu"), (2, 1, 16, 16, 16), "stages", True, quick=True),
    "resnet3d_in": Entry(lambda: nets.ResNet(3, "instance", "leaky"), (2, 1, 16, 16, 16), "stages", quick=True),
    "resnet2d_bn": Entry(lambda: nets.ResNet(2, "batch"), (2, 3, 32, 40), "stages", quick=True, dynamic=True),
    "resnet2d_gelu": Entry(lambda: nets.ResNet(2, "group", "gelu"), (2, 3, 32, 32), "stages", True, opset=20),
    "resnet2d_mish": Entry(lambda: nets.ResNet(2, "batch", "mish", pool="avg"), (2, 3, 33, 31), "stages", True),
    "unet3d_bn": Entry(lambda: nets.UNet(3, "batch"), (1, 1, 16, 16, 16), dynamic=True),
    "unet3d_in": Entry(
        lambda: nets.UNet(3, "instance", "softplus", up="trilinear"),
        (1, 1, 16, 16, 24),
        smooth=True,
        quick=True,
        dynamic=True,
    ),
    "unet3d_gn": Entry(lambda: nets.UNet(3, "group", "elu", up="nearest"), (1, 1, 16, 16, 16), smooth=True),
    "unet2d": Entry(lambda: nets.UNet(2, "instance", "relu", up="bilinear"), (2, 3, 32, 48)),
    "convnext2d": Entry(lambda: nets.ConvNext(2), (2, 3, 32, 32), "stages", True, quick=True),
    "convnext3d": Entry(lambda: nets.ConvNext(3), (1, 1, 16, 16, 16), "stages", True, opset=21),
    "vgg2d": Entry(lambda: nets.Vgg(), (2, 3, 32, 32), "features"),
    "monai_resnet10": Entry(_resnet("resnet10", widen_factor=0.25), (1, 1, 32, 32, 32), "layer4", quick=True),
    "monai_resnet18": Entry(_resnet("resnet18", widen_factor=0.25), (2, 1, 32, 32, 32), "layer4"),
    "monai_resnet50": Entry(_resnet("resnet50", widen_factor=0.25), (1, 1, 32, 32, 32), "layer4"),
    "monai_resnet18_2d": Entry(_resnet("resnet18", widen_factor=0.25, spatial_dims=2), (2, 1, 64, 64), "layer4"),
    "densenet121": Entry(
        _monai("DenseNet121", spatial_dims=3, in_channels=1, out_channels=2, init_features=8, growth_rate=4),
        (1, 1, 32, 32, 32),
        "features",
    ),
    "efficientnet": Entry(
        _monai(
            "EfficientNetBN",
            model_name="efficientnet-b0",
            pretrained=False,
            spatial_dims=3,
            in_channels=1,
            num_classes=2,
        ),
        (1, 1, 32, 32, 32),
        smooth=True,
    ),
    "seresnet50": Entry(_monai("SEResNet50", spatial_dims=2, in_channels=1, num_classes=2), (1, 1, 64, 64), "layer4"),
    "senet_like_3d": Entry(lambda: nets.ResNet(3, "batch", "hardswish", squeeze=True), (2, 1, 16, 16, 16), "stages"),
    "vit": Entry(
        _monai(
            "ViT",
            in_channels=1,
            img_size=16,
            patch_size=8,
            hidden_size=24,
            mlp_dim=48,
            num_layers=2,
            num_heads=2,
            classification=True,
            num_classes=2,
        ),
        (2, 1, 16, 16, 16),
        smooth=True,
        needs="einops",
    ),
    "unet_monai": Entry(
        _monai("UNet", **SEG, channels=(4, 8, 16), strides=(2, 2), num_res_units=2), (1, 1, 16, 16, 16)
    ),
    "dynunet": Entry(
        _monai(
            "DynUNet", **SEG, kernel_size=[3, 3, 3], strides=[1, 2, 2], upsample_kernel_size=[2, 2], filters=[4, 8, 16]
        ),
        (1, 1, 16, 16, 16),
    ),
    "segresnet": Entry(
        _monai("SegResNet", **SEG, init_filters=8, blocks_down=(1, 1, 1), blocks_up=(1, 1)), (1, 1, 16, 16, 16)
    ),
    "basicunet": Entry(_monai("BasicUNet", **SEG, features=(4, 4, 8, 8, 16, 4)), (1, 1, 32, 32, 32)),
    "attentionunet": Entry(_monai("AttentionUnet", **SEG, channels=(4, 8, 16), strides=(2, 2)), (1, 1, 16, 16, 16)),
    "unetr": Entry(
        _monai(
            "UNETR", in_channels=1, out_channels=2, img_size=32, feature_size=4, hidden_size=24, mlp_dim=32, num_heads=2
        ),
        (1, 1, 32, 32, 32),
        needs="einops",
    ),
    "swinunetr": Entry(
        _monai(
            "SwinUNETR", in_channels=1, out_channels=2, feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)
        ),
        (1, 1, 64, 64, 32),
        needs="einops",
    ),
    "highresnet": Entry(_monai("HighResNet", spatial_dims=3, in_channels=1, out_channels=2), (1, 1, 12, 12, 12)),
    "vnet": Entry(_monai("VNet", spatial_dims=3, in_channels=1, out_channels=2), (1, 1, 32, 32, 32), smooth=True),
    "flexibleunet": Entry(
        _monai("FlexibleUNet", in_channels=3, out_channels=2, backbone="efficientnet-b0", pretrained=False),
        (1, 3, 64, 64),
    ),
    "mednext": Entry(
        _monai("MedNeXtS", spatial_dims=3, in_channels=1, out_channels=2), (1, 1, 32, 32, 32), smooth=True
    ),
    "seresnext50": Entry(_monai("SEResNext50", spatial_dims=3, in_channels=1, num_classes=2), (1, 1, 32, 32, 32)),
    "basicunetplusplus": Entry(_monai("BasicUNetPlusPlus", **SEG, features=(4, 4, 8, 8, 16, 4)), (1, 1, 32, 32, 32)),
    "mobilenet2d": Entry(lambda: foreign.MobileNet(), (2, 3, 32, 32), "features"),
    "transformer2d": Entry(lambda: foreign.Transformer(), (2, 3, 32, 32), smooth=True),
    "attention3d": Entry(lambda: foreign.Attention(), (2, 1, 16, 16, 16), smooth=True, quick=True),
    "picking2d": Entry(lambda: foreign.Picking(), (2, 3, 32, 32), quick=True),
}

TWINS = ("monai_resnet10", "monai_resnet50", "densenet121", "seresnet50", "unet_monai", "dynunet", "segresnet",
         "basicunet", "attentionunet", "unetr", "swinunetr")  # fmt: skip
"""Kinked networks whose twin with smooth activations and mean pooling is held to the tight bound."""


def _smoothed(make: Callable[[], Any]) -> Callable[[], Any]:
    def twin() -> Any:
        from torch import nn

        net = make()
        for parent in list(net.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.ReLU | nn.LeakyReLU | nn.PReLU):
                    setattr(parent, name, nn.SiLU())
                if isinstance(child, nn.MaxPool2d | nn.MaxPool3d):
                    kind = nn.AvgPool2d if isinstance(child, nn.MaxPool2d) else nn.AvgPool3d
                    setattr(parent, name, kind(child.kernel_size, child.stride, child.padding))
        return net

    return twin


ZOO |= {
    f"{name}_smooth": replace(ZOO[name], make=_smoothed(ZOO[name].make), smooth=True, quick=False) for name in TWINS
}
