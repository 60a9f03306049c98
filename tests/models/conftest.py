"""A tiny model package, written with onnx alone, that tests may damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from layer_fast.types import LAYERS

GRID = (4, 8, 4)


def tiny_classifier(grid: tuple[int, ...] = GRID) -> onnx.ModelProto:
    """image -> Conv of size 1 -> Relu (features) -> GlobalAveragePool -> Flatten -> Gemm (logits), in 3D or 2D."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(3, 1, *[1] * len(grid))),
        "v": rng.normal(size=(2, 3)),
        "b": rng.normal(size=2),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["features"], name="relu"),
        helper.make_node("GlobalAveragePool", ["features"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "v", "b"], ["logits"], name="gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, *grid])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def manifest_of(files: dict[str, bytes]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": "tiny",
        "role": "classifier",
        "member": "0",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "spatial_dims": 3,
        "setup": "bmode",
        "channels": [{"modality": "bmode", "window": [0.0, 255.0], "missing_value": None}],
        "grid": list(GRID),
        "spacing_mm": [1.0, 1.0, 1.0],
        "fov_mm": [4.0, 8.0, 4.0],
        "antialias": True,
        "depth_axis": "y",
        "layer_names": list(LAYERS),
        "classes": ["control", "case"],
        "target": {"positive": "case", "negative": "control"},
        "input": "image",
        "output": "logits",
        "cam_tensor": "features",
        "fill_profile": {"file": "fill_profile.json", "bins": 2},
        "logit_sd_train": 1.0,
        "training_subjects": None,
        "training_data": "none",
        "licence": "test",
        "intended_use": "test",
    }


@pytest.fixture
def tiny_model() -> onnx.ModelProto:
    return tiny_classifier()


@pytest.fixture
def slice_model() -> onnx.ModelProto:
    """The same with the grid (8, 4)."""
    return tiny_classifier(GRID[1:])


@pytest.fixture
def write_package(tmp_path: Path) -> Callable[..., Path]:
    """write(name="a", model=..., more=further files, **changes of the manifest) -> the package's folder."""

    def write(
        name: str = "a", model: onnx.ModelProto | None = None, more: dict[str, bytes] | None = None, **changes: Any
    ) -> Path:
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        files = {"model.onnx": (model or tiny_classifier()).SerializeToString(), **(more or {})}
        if changes.get("fill_profile", True):
            profile = {"bins": 2, "values": np.full((1, 7, 2), 0.5).tolist()}
            files["fill_profile.json"] = json.dumps(profile).encode()
        for file, data in files.items():
            (folder / file).write_bytes(data)
        document = manifest_of(files) | changes
        (folder / "manifest.json").write_text(json.dumps(document))
        return folder

    return write
