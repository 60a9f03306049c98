"""What the GPU cohort runs on: distinct phantom files, a table that repeats them, two model packages. Made once."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import headline_nets
import inputs
from headline_nets import SPACING_MM, Workload
from quiet_export import to_onnx


@dataclass(frozen=True)
class Settings:
    """What a measurement is of. Parts of one measurement have the same; with others it begins anew.

    files: distinct scans. rows: of the cohort table, which repeats them. scans: of the script to compare with.
    scan_batch, lanes: as in the library's options, 0 for its defaults. gpus: as the driver names them.
    """

    device: str
    quick: bool
    files: int
    rows: int
    scans: int
    scan_batch: int
    lanes: int
    script: str
    commit: str
    gpus: tuple[str, ...]

    @property
    def work(self) -> Workload:
        return headline_nets.QUICK if self.quick else headline_nets.FULL

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Settings:
        held = json.loads(path.read_text())
        return cls(**{**held, "gpus": tuple(held["gpus"])})


@dataclass(frozen=True)
class Folders:
    """Under one root: scans, which every measurement shares, and `run`, which belongs to one."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def settings(self) -> Path:
        return self.run / "settings.json"

    @property
    def models(self) -> Path:
        return self.run / "models"

    @property
    def table(self) -> Path:
        return self.run / "cohort.csv"

    @property
    def out(self) -> Path:
        return self.run / "out"

    def scans(self, work: Workload) -> Path:
        return self.root / f"scans_{work.name}"


def make(settings: Settings, folders: Folders, seconds: float) -> bool:
    """Make what is missing; True once all is there. The table is written last, so it stands for the whole."""
    paths = scans(settings.work, folders.scans(settings.work), settings.files, seconds)
    if not all(path.exists() for path in paths):
        return False
    packages(settings.work, folders.models)
    cohort_table(paths, settings.rows, folders.table)
    return True


def scans(work: Workload, folder: Path, count: int, seconds: float) -> list[Path]:
    """`count` B-mode files (z, y, x), uint8 .nii.gz, no two alike: a phantom rolled along z and brightened; those there
    are kept, none is begun after `seconds`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"scan_{i:04}.nii.gz" for i in range(count)]
    todo = [(work, i, path) for i, path in enumerate(paths) if not path.exists()]
    end = time.monotonic() + seconds
    if todo:
        inputs.speckle(work.scan, "uint8")  # before the fork, which shares it
        workers = len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
            for start in range(0, len(todo), 4 * workers):
                list(pool.map(_write_scan, todo[start : start + 4 * workers]))
                if time.monotonic() > end:
                    break
    return paths


def _write_scan(item: tuple[Workload, int, Path]) -> None:
    from layer_fast.io.writing import write_nifti

    work, i, path = item
    changed = np.roll(inputs.speckle(work.scan, "uint8"), 17 * i, axis=0)
    brighter = np.minimum(changed, 255 - i % 50) + i % 50
    write_nifti(path, np.where(changed == 0, 0, brighter).astype(np.uint8), np.diag([SPACING_MM] * 3 + [1.0]))


def cohort_table(paths: Sequence[Path], rows: int, path: Path) -> None:
    """cohort.csv: as many scans as asked, the files in turn, each scan of a subject of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scan_id", "subject", "bmode", "label"))
    for i in range(rows):
        file = os.path.relpath(paths[i % len(paths)], path.parent)
        writer.writerow((f"scan{i:05}", f"subject{i:05}", file, ("control", "case")[i % 2]))
    part = path.with_suffix(".part")
    part.write_text(text.getvalue())
    part.replace(path)


def packages(work: Workload, folder: Path) -> None:
    """The two model packages, exported by tracing, which needs no onnxscript; whole or not at all."""
    import torch

    from layer_fast import graphs
    from on_gpu import cohort_nets

    if folder.exists():
        return
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    image = torch.zeros(1, 1, *work.model)
    for role, net in zip(("segmenter", "classifier"), cohort_nets.networks(work.channels, work.width), strict=True):
        model = to_onnx(net, image, dims={0: "batch"}, tracing=True)
        manifest = _manifest(work, role)
        if role == "classifier":
            manifest |= {"classes": ["control", "case"], "target": {"positive": "case", "negative": "control"},
                         "cam_tensor": graphs.find_activations(model)[0]}  # fmt: skip
        data = model.SerializeToString()
        manifest["files"] = {"model.onnx": hashlib.sha256(data).hexdigest()}
        (part / role).mkdir(parents=True)
        (part / role / "model.onnx").write_bytes(data)
        (part / role / "manifest.json").write_text(json.dumps(manifest))
    part.replace(folder)


def _manifest(work: Workload, role: str) -> dict[str, Any]:
    from layer_fast.types import LAYERS

    fov = [n * SPACING_MM for n in work.scan]
    return {
        "schema_version": 1, "name": f"cohort_{role}", "role": role, "spatial_dims": 3, "setup": "bmode",
        "grid": list(work.model), "fov_mm": fov, "antialias": False,
        "channels": [{"modality": "bmode", "window": [0.0, 255.0], "missing_value": None}],
        "spacing_mm": [whole / n for whole, n in zip(fov, work.model, strict=True)], "depth_axis": "y",
        "layer_names": list(LAYERS), "input": "image", "output": "logits", "training_data": "none: drawn weights",
        "licence": "MIT", "intended_use": "benchmark",
    }  # fmt: skip
