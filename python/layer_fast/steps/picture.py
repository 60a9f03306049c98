"""picture: the middle slice of a scan with its layers and one map, for the report."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..files import BROKEN_NPZ, write_atomic
from ..types import Failure, LayerMask, Scan
from .explain import Explanation
from .guarded import Work, advance
from .lane import Lane
from .record import RunFacts


@dataclass(frozen=True, slots=True)
class Picture:
    """The middle slice of a scan. key: of the record that these inputs, models and options give. method: of the maps,
    "" without. arrays: labels (y, x) uint8; bmode (y, x) in the file's dtype, swe (y, x) float32 m/s; map_SETUP (y, x)
    float32, the mean over the members of an ensemble; spacing_mm (3,) float64 (z, y, x)."""

    scan_id: str
    key: str
    method: str
    arrays: dict[str, NDArray[Any]]


def draw(works: list[Work], lane: Lane, facts: RunFacts) -> list[Picture | Failure]:
    """The pictures of explained scans, in their order; lane.config.methods holds the one method of the maps, or none.
    A scan that has failed, or fails here, is its failure."""
    made: dict[str, Picture] = {}

    def verb(items: list[tuple[Scan, LayerMask, list[Explanation]]]) -> list[Picture]:
        return [_picture(*item, lane, facts) for item in items]

    def put(work: Work, picture: Picture) -> None:
        made[work.ref.scan_id] = picture

    advance("picture", works, lane, take=lambda w: (w.need_scan(), w.need_mask(), w.explanations), verb=verb, put=put)
    return [work.failure or made[work.ref.scan_id] for work in works]


def _picture(scan: Scan, mask: LayerMask, explanations: list[Explanation], lane: Lane, facts: RunFacts) -> Picture:
    method = next(iter(lane.config.methods), "")
    middle = scan.grid.array.shape[0] // 2
    arrays = {name: lane.place.take(volume.array[middle]) for name, volume in scan.volumes.items()}
    arrays["labels"] = lane.place.take(mask.labels[middle])
    for setup, maps in _maps(explanations, method).items():
        whole = [ops.resample(m, scan.grid.array.shape, threads=lane.op_threads) for m in maps]
        full = [lane.place.take(one[middle]) for one in whole]
        arrays[f"map_{setup}"] = np.asarray(np.mean(full, axis=0, dtype=np.float32))
    arrays["spacing_mm"] = np.array(scan.grid.spacing_mm)
    return Picture(scan.ref.scan_id, facts.key(scan.ref, scan.input_sha256), method, arrays)


def _maps(explanations: list[Explanation], method: str) -> dict[str, list[NDArray[np.float32]]]:
    """The maps of each setup, one of each member."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for explanation in explanations:
        if method in explanation.maps:
            setup = explanation.package.manifest.setup
            found.setdefault(setup, []).append(explanation.maps[method].values)
    return found


def save_picture(picture: Picture, path: Path) -> None:
    """Write the picture as .npz: its arrays, and scan_id, key and method. The same picture gives the same bytes."""
    buffer = io.BytesIO()
    about = {name: np.array(getattr(picture, name)) for name in ("scan_id", "key", "method")}
    held: dict[str, Any] = {**picture.arrays, **about}
    np.savez_compressed(buffer, **held)  # no other keyword: before NumPy 2.1 each one is an array
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())


def picture_stands(path: Path, key: str, method: str) -> bool:
    """Whether a whole picture of that record and method is there already."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}  # all of it: a torn array is no picture
        return "labels" in held and (str(held["key"]), str(held["method"])) == (key, method)
    except BROKEN_NPZ:
        return False
