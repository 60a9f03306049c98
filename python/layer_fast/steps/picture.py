"""picture: the middle slice of a scan with its layers and maps, kept for the report."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

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
                full = ops.resample(explanation.maps["gradcam"], scan.grid.array.shape)
                arrays[f"map_{explanation.package.manifest.setup}"] = full[middle]
        buffer = io.BytesIO()
        about = {"scan_id": scan.ref.scan_id, "label": scan.ref.label or "", "spacing_mm": scan.grid.spacing_mm}
        arrays |= {name: np.array(value) for name, value in about.items()}
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())
    return [path for *_, path in items]
