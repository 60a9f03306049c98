"""The headline workload's scans and networks: seeded, made once, kept in a folder that git ignores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

import inputs
from quiet_export import to_onnx

CLASSES = 2
SPACING_MM = 0.2


@dataclass(frozen=True)
class Workload:
    """scan (z, y, x); network input; channels of the U-Net; width of the ResNet; whether exported by tracing."""

    name: str
    scan: inputs.Shape
    model: inputs.Shape
    channels: tuple[int, ...]
    width: float
    tracing: bool = False


FULL = Workload("full", (320, 256, 200), (128,) * 3, (16, 32, 64, 128), 1.0)
QUICK = Workload("quick", (40, 32, 25), (32,) * 3, (4, 8, 8, 8), 0.125, tracing=True)


def scans(work: Workload, folder: Path, count: int) -> list[Path]:
    """`count` B-mode files .nii.gz, uint8: one phantom-like volume, rolled along z and brightened, so all differ."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{work.name}_{i}.nii.gz" for i in range(count)]
    volume = inputs.speckle(work.scan, "uint8") if not all(path.exists() for path in paths) else None
    for i, path in enumerate(paths):
        if path.exists():
            continue
        assert volume is not None
        changed = np.roll(volume, 17 * i, axis=0)
        changed = np.where(changed == 0, 0, np.minimum(changed, 250 - 3 * i) + i).astype(np.uint8)
        part = path.with_name(f"part_{path.name}")
        nibabel.save(nibabel.Nifti1Image(np.asfortranarray(changed.T), np.diag([SPACING_MM] * 3 + [1.0])), part)
        part.replace(path)
    return paths


def torch_networks(work: Workload) -> tuple[Any, Any]:
    """MONAI's UNet (7 classes) and resnet10, seeded, in evaluation mode; their kernels' axes are (z, y, x)."""
    import torch
    from monai.networks.nets import UNet, resnet10

    torch.manual_seed(1)
    segmenter = UNet(
        spatial_dims=3, in_channels=1, out_channels=7, channels=work.channels, strides=(2, 2, 2), num_res_units=1
    ).eval()
    classifier = resnet10(spatial_dims=3, n_input_channels=1, num_classes=CLASSES, widen_factor=work.width).eval()
    return segmenter, classifier


def transposed(net: Any) -> Any:
    """The same network for volumes (x, y, z), the order in which MONAI reads NIfTI: every kernel's axes reversed."""
    import torch

    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
                module.weight.copy_(module.weight.permute(0, 1, 4, 3, 2).clone())
    return net


def graphs(work: Workload, folder: Path) -> tuple[Path, Path]:
    """(segmenter, classifier) as ONNX, exported on first use; afterwards PyTorch is not needed."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{work.name}_segmenter.onnx", folder / f"{work.name}_classifier.onnx"
    if not all(path.exists() for path in paths):
        for net, path in zip(torch_networks(work), paths, strict=True):
            _export(net, work, path)
    return paths


def gigaflops(work: Workload) -> dict[str, float]:
    """2 x multiply-adds of one forward, in 10^9."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    found = {}
    for name, net in zip(("segmenter", "classifier"), torch_networks(work), strict=True):
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 1, *work.model))
        found[name] = round(counter.get_total_flops() / 1e9, 1)
    return found


def _export(net: Any, work: Workload, path: Path) -> None:
    import onnx
    import torch

    part = path.with_suffix(".part")
    onnx.save_model(to_onnx(net, torch.zeros(1, 1, *work.model), tracing=work.tracing), part)
    part.replace(path)
