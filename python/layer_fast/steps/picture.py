"""picture: the middle slice of a scan with its layers and maps, kept for the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..files import write_atomic
from ..types import LayerMask, Scan
from .explain import Explanation


def save_pictures(items: list[tuple[Scan, LayerMask, list[Explanation], Path]]) -> list[Path]:
    """Write one .npz a scan: bmode (y, x) uint8, swe (y, x) float32, labels (y, x) uint8, map_SETUP (y, x) float32."""
    for scan, mask, explanations, path in items:
        middle = scan.grid.array.shape[0] // 2
        arrays = {name: volume.array[middle] for name, volume in scan.volumes.items()}
        arrays["labels"] = mask.labels[middle]
        for explanation in explanations:
            if "gradcam" in explanation.maps:
                full = ops.resample(explanation.maps["gradcam"].values, scan.grid.array.shape)
                arrays[f"map_{explanation.package.manifest.setup}"] = full[middle]
        about = {"scan_id": scan.ref.scan_id, "label": scan.ref.label or "", "spacing_mm": scan.grid.spacing_mm}
        _write(path, arrays | {name: np.array(value) for name, value in about.items()})
    return [path for *_, path in items]


def relabel_picture(path: Path, label: str) -> None:
    """Write the label that the table gives now into an older picture."""
    with np.load(path, allow_pickle=False) as held:
        if str(held["label"]) == label:
            return
        arrays = {name: held[name] for name in held.files}
    _write(path, arrays | {"label": np.array(label)})


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
