"""Model packages and scans of the GPU cohort; networks in plain torch, no MONAI."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

import inputs
from gpu_cohort_sizes import SPACING_MM, Size
from quiet_export import to_onnx


def networks(size: Size) -> tuple[Any, Any]:
    """(U-Net with 7 classes, ResNet) in plain torch, seeded, in evaluation mode; quick sizes take the small ResNet."""
    import torch

    import gpu_rivals
    from rivals import torch_networks

    torch.manual_seed(1)
    segmenter = torch_networks.unet()
    classifier = torch_networks.resnet() if size.quick else gpu_rivals.resnet10()
    return segmenter.eval().requires_grad_(False), classifier.eval().requires_grad_(False)


def packages(size: Size, folder: Path) -> Path:
    """The two model packages, traced to ONNX: no onnxscript is needed."""
    import torch

    from layer_fast import graphs

    for role, net in zip(("segmenter", "bmode"), networks(size), strict=True):
        model = to_onnx(net, torch.zeros(1, 1, *size.model), dims={0: "batch"}, tracing=True)
        manifest = _manifest(size, role)
        if role == "bmode":
            manifest |= _of_classifier(graphs.find_activations(model)[0])
        _write(folder / role, manifest, model.SerializeToString())
    return folder


def _manifest(size: Size, role: str) -> dict[str, Any]:
    from layer_fast.types import LAYERS

    fov = [n * SPACING_MM for n in size.scan]
    return {
        "schema_version": 1, "name": f"cohort_{role}", "role": "segmenter" if role == "segmenter" else "classifier",
        "spatial_dims": 3, "setup": "bmode", "grid": list(size.model), "fov_mm": fov, "antialias": False,
        "channels": [{"modality": "bmode", "window": [0.0, 255.0], "missing_value": None}],
        "spacing_mm": [f / n for f, n in zip(fov, size.model, strict=True)], "depth_axis": "y",
        "layer_names": list(LAYERS), "input": "image", "output": "logits", "training_data": "none", "licence": "MIT",
        "intended_use": "benchmark",
    }  # fmt: skip


def _of_classifier(activation: str) -> dict[str, Any]:
    return {
        "classes": ["control", "case"], "target": {"positive": "case", "negative": "control"},
        "cam_tensor": activation, "logit_sd_train": 1.0, "fill_profile": {"file": "fill_profile.json", "bins": 16},
        "training_subjects": {"salt": "a-long-salt", "hashes": [hashlib.sha256(b"nobody").hexdigest()]},
    }  # fmt: skip


def _write(folder: Path, manifest: dict[str, Any], model: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = {"model.onnx": model}
    if manifest["role"] == "classifier":
        files["fill_profile.json"] = json.dumps({"bins": 16, "values": np.full((1, 7, 16), 0.5).tolist()}).encode()
    manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def scans(size: Size, folder: Path, count: int) -> list[Path]:
    """`count` distinct B-mode files (z, y, x), uint8 .nii.gz: a phantom rolled along z; those there are kept."""
    from layer_fast.io import write_nifti

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"scan_{i:04}.nii.gz" for i in range(count)]
    volume = inputs.speckle(size.scan, "uint8")
    for i, path in enumerate(paths):
        if not path.exists():
            changed = np.roll(volume, 17 * i, axis=0)
            changed = np.where(changed == 0, 0, np.minimum(changed, 255 - i % 50) + i % 50).astype(np.uint8)
            part = path.with_name(f"part_{path.name}")
            write_nifti(part, changed, np.diag([SPACING_MM] * 3 + [1.0]))
            part.replace(path)
    return paths
