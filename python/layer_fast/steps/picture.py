"""picture: the middle slice of a scan with its layers and maps, kept for the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..files import BROKEN_NPZ, write_atomic
from ..types import LayerMask, Scan
from .explain import Explanation
from .lane import Lane


def save_pictures(items: list[tuple[Scan, LayerMask, list[Explanation], Path]], lane: Lane) -> list[Path]:
    """Write one .npz a scan: bmode (y, x) uint8, swe (y, x) float32, labels (y, x) uint8, map_SETUP (y, x) float32, the
    mean over the members of an ensemble."""
    for scan, mask, explanations, path in items:
        middle = scan.grid.array.shape[0] // 2
        arrays = {name: volume.array[middle] for name, volume in scan.volumes.items()}
        arrays["labels"] = lane.place.take(mask.labels[middle])
        for setup, maps in _cams(explanations).items():
            whole = [ops.resample(m, scan.grid.array.shape, threads=lane.op_threads) for m in maps]
            full = [lane.place.take(one[middle]) for one in whole]
            arrays[f"map_{setup}"] = np.mean(full, axis=0, dtype=np.float32)
        about = {"scan_id": scan.ref.scan_id, "label": scan.ref.label or "", "spacing_mm": scan.grid.spacing_mm}
        _write(path, arrays | {name: np.array(value) for name, value in about.items()})
    return [path for *_, path in items]


def _cams(explanations: list[Explanation]) -> dict[str, list[NDArray[np.float32]]]:
    """The Grad-CAM maps of each setup, one of each member."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for explanation in explanations:
        if "gradcam" in explanation.maps:
            setup = explanation.package.manifest.setup
            found.setdefault(setup, []).append(explanation.maps["gradcam"].values)
    return found


def is_picture(path: Path) -> bool:
    """Whether a picture is there and whole."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return {"scan_id", "label", "labels"} <= {name for name in held.files if held[name] is not None}
    except BROKEN_NPZ:
        return False


def relabel_picture(path: Path, label: str) -> None:
    """Write the label that the table gives now into an older picture."""
    with np.load(path, allow_pickle=False) as held:
        if str(held["label"]) == label:
            return
        arrays = {name: held[name] for name in held.files}
    _write(path, arrays | {"label": np.array(label)})


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    held: dict[str, Any] = arrays
    np.savez_compressed(buffer, **held)  # no other keyword: before NumPy 2.1 each one is an array
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
