"""Tiny models for three folds. Fold k's classifiers are those of tiny.py with logits 2^k times as large, and say so by
their logit SD: in SDs of its own model every scan has, to the last bit, the numbers of tiny.py's models."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import tiny

FOLDS = {"a": 1.0, "b": 2.0, "c": 4.0}
SALT = "a-long-salt"


def fold_of(subject: str) -> str:
    """p00 -> a, p01 -> b, p02 -> c, p03 -> a ..."""
    return "abc"[int(subject[1:]) % 3]


def write_folds(folder: Path, setups: tuple[str, ...] = ("bmode",), subjects: int = 6, **content: Any) -> Path:
    """common/ with the segmenter, fold_a/ ... and folds.yaml, more keys of which are `content`; the training subjects
    of a fold's models are those of the others."""
    tiny.write_models(folder / "common", ())
    everyone = [f"p{i:02d}" for i in range(subjects)]
    for name, scale in FOLDS.items():
        tiny.write_models(folder / f"fold_{name}", setups)
        (folder / f"fold_{name}" / "segmenter").rename(folder / f"unused_{name}")
        for setup in setups:
            edit(folder / f"fold_{name}" / setup, scale, name=f"tiny-{name}",
                 training=[s for s in everyone if fold_of(s) != name])  # fmt: skip
    paths = {name: f"fold_{name}" for name in FOLDS}
    file = folder / "folds.yaml"
    file.write_text(json.dumps({"common": "common", "folds": paths, "name": "tiny", **content}))  # JSON is YAML
    return file


def edit(package: Path, scale: float = 1.0, *, training: list[str] | None = None, **fields: Any) -> None:
    """Multiply a classifier's logits, and change fields of its manifest."""
    manifest = json.loads((package / "manifest.json").read_text())
    model = onnx.load(package / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "fc":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(scale), "fc"))
    data = model.SerializeToString()
    (package / "model.onnx").write_bytes(data)
    manifest["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
    manifest["logit_sd_train"] *= scale
    if training is not None:
        hashes = [hashlib.sha256(f"{SALT}\0{subject}".encode()).hexdigest() for subject in training]
        manifest["training_subjects"] = {"salt": SALT, "hashes": hashes}
    (package / "manifest.json").write_text(json.dumps(manifest | fields))


def with_fold(table: Path, fold: Callable[[dict[str, str]], str | None], name: str = "folded.csv") -> Path:
    """The cohort table with the column `fold`, beside the one given; None: without it."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    out = table.with_name(name)
    with out.open("w", newline="") as file:
        more = [{**row, "fold": found} if (found := fold(row)) is not None else row for row in rows]
        writer = csv.DictWriter(file, more[0].keys())
        writer.writeheader()
        writer.writerows(more)
    return out
