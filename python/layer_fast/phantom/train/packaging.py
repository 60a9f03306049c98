"""Writing model packages and their cards. No torch here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...models.manifest import MODEL_FILE
from ...models.package import MANIFEST_FILE, parse_manifest
from ...models.subjects import subject_hash
from ...types import LAYERS, SETUP_CHANNELS
from ..spec import DEFAULT_SHAPE, DEFAULT_SPACING_MM
from .data import CLASSIFIER_GRIDS, SEGMENTER_GRIDS, SWE_MISSING_M_S, WINDOWS

if TYPE_CHECKING:
    import onnx

LICENCE = "As the library. Trained on synthetic phantoms only."
INTENDED_USE = "Demonstration and tests of layer_fast on its own phantoms. Not for people: no model has seen one."


def base_manifest(
    role: str, setup: str, dims: int, subjects: list[str], salt: str, training_data: str
) -> dict[str, Any]:
    """The part of the manifest that does not depend on the weights. A 2D model runs over the slices along z."""
    grid = (CLASSIFIER_GRIDS if role == "classifier" else SEGMENTER_GRIDS)[dims]
    fov = [n * s for n, s in zip(DEFAULT_SHAPE, DEFAULT_SPACING_MM, strict=True)]
    sizes: dict[str, Any] = {
        "grid": list(grid),
        "spacing_mm": [round(mm / n, 6) for mm, n in zip(fov, grid, strict=True)],
        "fov_mm": [round(mm, 6) for mm in fov],
    }
    if dims == 2:
        sizes = {"slice_axis": "z"} | {key: [None, *values[1:]] for key, values in sizes.items()}
    channels = [
        {"modality": m, "window": list(WINDOWS[m]), "missing_value": SWE_MISSING_M_S if m == "swe" else None}
        for m in SETUP_CHANNELS[setup]
    ]
    return {
        "schema_version": 1,
        "name": f"phantom-{role}" + (f"-{setup}" if role == "classifier" else "") + ("-2d" if dims == 2 else ""),
        "role": role,
        "member": "0",
        "spatial_dims": dims,
        "setup": setup,
        "channels": channels,
        **sizes,
        "antialias": True,
        "depth_axis": "y",
        "layer_names": list(LAYERS),
        "input": "image",
        "output": "logits",
        "training_subjects": {"salt": salt, "hashes": sorted(subject_hash(salt, s) for s in subjects)},
        "training_data": training_data,
        "licence": LICENCE,
        "intended_use": INTENDED_USE,
    }


def classifier_keys(bins: int, dims: int, logit_sd: float) -> dict[str, Any]:
    """What only a classifier's manifest has."""
    pooling = {"slice_pooling": "mean_logit"} if dims == 2 else {}
    return pooling | {
        "classes": ["control", "case"],
        "target": {"positive": "case", "negative": "control"},
        "cam_tensor": "features",
        "fill_profile": {"file": "fill_profile.json", "bins": bins},
        "logit_sd_train": logit_sd,
    }


def write_package(
    folder: Path, model: onnx.ModelProto, manifest: dict[str, Any], profile: NDArray[np.floating] | None = None
) -> None:
    """Write the folder of a package; the manifest is checked against the schema first. `profile` (C, 7, bins)."""
    files = {MODEL_FILE: model.SerializeToString(deterministic=True)}
    if profile is not None:
        values = np.round(np.asarray(profile, np.float64), 5).tolist()
        document = {"bins": profile.shape[2], "values": values}
        files[manifest["fill_profile"]["file"]] = (json.dumps(document) + "\n").encode()
    manifest = manifest | {"files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}}
    raw = (json.dumps(manifest, indent=2) + "\n").encode()
    parse_manifest(raw, str(folder / MANIFEST_FILE))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST_FILE).write_bytes(raw)


def set_card(folder: Path, card: dict[str, dict[str, Any]]) -> None:
    """Write measured figures into the manifest of a package; nothing else of it changes."""
    path = folder / MANIFEST_FILE
    document = json.loads(path.read_bytes())
    document["card"] = card
    raw = (json.dumps(document, indent=2) + "\n").encode()
    parse_manifest(raw, str(path))
    path.write_bytes(raw)
