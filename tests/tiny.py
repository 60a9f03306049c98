"""A cohort and models so small that a whole run takes milliseconds. The weights are arbitrary, the truth is in closed
form: layer k has the grey value 40 k, so the segmenter's labels are known; the classifier is one convolution."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from layer_fast.types import LAYERS, SETUP_CHANNELS

GRID = (4, 28, 8)
SPACING = (1.5, 0.5, 0.6)
FEATURES = 4


def _model(nodes: list[Any], weights: dict[str, NDArray[Any]], channels: int, output: list[Any]) -> bytes:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", channels, *GRID])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)
    tensors = [numpy_helper.from_array(np.asarray(w, np.float32), name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "tiny", [image], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def segmenter() -> bytes:
    """logit_k is largest where the input is nearest to 40 k / 255."""
    centre = np.arange(7) * 40 / 255
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["logits"])]
    weights = {"w": (2 * centre).reshape(7, 1, 1, 1, 1), "b": -(centre**2)}
    return _model(nodes, weights, 1, ["batch", 7, *GRID])


def classifier_weights(channels: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(channels)
    return {
        "w": rng.normal(0, 0.5, (FEATURES, channels, 3, 3, 3)), "b": rng.normal(0, 0.1, FEATURES),
        "fc": rng.normal(0, 1, (FEATURES, 2)), "fb": np.zeros(2),
    }  # fmt: skip


def classifier(channels: int) -> bytes:
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["conv"], strides=[1, 2, 2], pads=[1] * 6),
        helper.make_node("Relu", ["conv"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc", "fb"], ["logits"]),
    ]
    return _model(nodes, classifier_weights(channels), channels, ["batch", 2])


def write_models(folder: Path, setups: tuple[str, ...] = ("bmode", "swe", "both")) -> Path:
    _package(folder / "segmenter", "segmenter", "bmode", segmenter())
    for setup in setups:
        _package(folder / setup, "classifier", setup, classifier(len(SETUP_CHANNELS[setup])))
    return folder


def _package(folder: Path, role: str, setup: str, model: bytes) -> None:
    folder.mkdir(parents=True)
    channels = {
        "bmode": {"modality": "bmode", "window": [0.0, 255.0], "missing_value": None},
        "swe": {"modality": "swe", "window": [0.0, 8.0], "missing_value": 2.0},
    }
    names = SETUP_CHANNELS[setup]
    manifest: dict[str, Any] = {
        "schema_version": 1, "name": f"tiny_{role}_{setup}", "role": role, "spatial_dims": 3, "setup": setup,
        "channels": [channels[name] for name in names], "grid": list(GRID), "spacing_mm": list(SPACING),
        "fov_mm": [n * s for n, s in zip(GRID, SPACING, strict=True)], "antialias": True, "depth_axis": "y",
        "layer_names": list(LAYERS), "input": "image", "output": "logits", "training_data": "none", "licence": "MIT",
        "intended_use": "tests",
    }  # fmt: skip
    files = {"model.onnx": model}
    if role == "classifier":
        rng = np.random.default_rng(5)
        profile = {"bins": 16, "values": rng.uniform(0.1, 0.9, (len(names), 7, 16)).round(3).tolist()}
        files["fill_profile.json"] = json.dumps(profile).encode()
        manifest |= {
            "classes": ["control", "case"], "target": {"positive": "case", "negative": "control"},
            "cam_tensor": "features", "fill_profile": {"file": "fill_profile.json", "bins": 16}, "logit_sd_train": 1.0,
            "training_subjects": {"salt": "a-long-salt", "hashes": [hashlib.sha256(b"nobody").hexdigest()]},
        }  # fmt: skip
    manifest["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def labels() -> NDArray[np.uint8]:
    """(z, y, x): seven bands of four voxels along depth, background first."""
    return np.broadcast_to((np.arange(GRID[1]) // 4)[None, :, None], GRID).astype(np.uint8)


def bmode(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-15, 16, GRID)
    return np.clip(labels().astype(int) * 40 + noise, 0, 255).astype(np.uint8)


def swe(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([seed, 1])
    speed = rng.uniform(1, 5, GRID).round(3).astype(np.float32)
    speed[rng.random(GRID) < 0.1] = np.nan
    return speed


def write_volume(path: Path, array: NDArray[Any]) -> None:
    affine = np.diag([*SPACING[::-1], 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.T), affine), path)


def write_cohort(folder: Path, scans: int = 8, *, masks: bool = False) -> Path:
    """Two scans a subject, subjects alternate between control and case."""
    folder.mkdir(parents=True)
    rows = []
    for i in range(scans):
        row = {
            "scan_id": f"s{i:03d}", "subject": f"p{i // 2:02d}", "label": ("control", "case")[i // 2 % 2],
            "bmode": f"b{i}.nii.gz", "swe": f"s{i}.nii.gz", "swe_unit": "m/s", "age": str(20 + i),
        }  # fmt: skip
        write_volume(folder / row["bmode"], bmode(i))
        write_volume(folder / row["swe"], swe(i))
        if masks:
            row["mask"] = f"m{i}.nii.gz"
            write_volume(folder / row["mask"], labels())
        rows.append(row)
    table = folder / "cohort.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return table


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    """A table of a run."""
    return list(parquet.read_table(out / f"{name}.parquet").to_pylist())


def table_bytes(out: Path) -> dict[str, bytes]:
    return {name: (out / f"{name}.parquet").read_bytes() for name in ("scans", "layers", "coalitions")}
