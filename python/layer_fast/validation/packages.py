"""Model packages for validation: written to a temporary folder, then read and verified like any other."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models import ModelPackage, load_package
from ..models.manifest import MODEL_FILE
from ..models.package import MANIFEST_FILE
from ..models.subjects import subject_hash
from ..types import LAYERS, SETUP_CHANNELS
from .light import GRID, SPACING_MM, WINDOWS

if TYPE_CHECKING:
    import onnx

SALT = "layer_fast validation"
SWE_MISSING_M_S = 2.0
_PROFILE = "fill_profile.json"


def package(
    model: onnx.ModelProto, name: str, setup: str, profile: NDArray[np.floating], *, logit_sd: float,
    seen: Sequence[str], cam_tensor: str | None = None,
) -> ModelPackage:  # fmt: skip
    """The network as a verified package. profile: (C, 7, bins) in model-input units. seen: subjects of the training
    and of the profile. Raises ModelError where the package would be refused."""
    values = np.clip(np.round(np.asarray(profile, np.float64), 5), 0.0, 1.0).tolist()
    files = {
        MODEL_FILE: model.SerializeToString(deterministic=True),
        _PROFILE: json.dumps({"bins": profile.shape[2], "values": values}).encode(),
    }
    manifest = _manifest(name, setup) | {
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "cam_tensor": cam_tensor,
        "fill_profile": {"file": _PROFILE, "bins": profile.shape[2]},
        "logit_sd_train": logit_sd,
        "training_subjects": {"salt": SALT, "hashes": sorted({subject_hash(SALT, s) for s in seen})},
    }
    with tempfile.TemporaryDirectory() as folder:
        for file, data in {**files, MANIFEST_FILE: json.dumps(manifest).encode()}.items():
            (Path(folder) / file).write_bytes(data)
        return load_package(folder)


def _manifest(name: str, setup: str) -> dict[str, Any]:
    channels = [
        {"modality": m, "window": list(WINDOWS[m]), "missing_value": SWE_MISSING_M_S if m == "swe" else None}
        for m in SETUP_CHANNELS[setup]
    ]
    return {
        "schema_version": 1, "name": name, "role": "classifier", "member": "0", "spatial_dims": 3, "setup": setup,
        "channels": channels, "grid": list(GRID), "spacing_mm": list(SPACING_MM),
        "fov_mm": [n * mm for n, mm in zip(GRID, SPACING_MM, strict=True)], "antialias": True, "depth_axis": "y",
        "layer_names": list(LAYERS), "classes": ["control", "case"],
        "target": {"positive": "case", "negative": "control"}, "input": "image", "output": "logits",
        "training_data": "numbers, made by layer_fast.validation.light", "licence": "MIT",
        "intended_use": "validation of the tool; not for people",
    }  # fmt: skip
