"""From cohorts to the tables that the claim rule reads, by the library's own steps: resampling and window, coalitions
composed by `ops.layer_compose`, ONNX Runtime, exact Shapley values, `quantify`.

What `Pipeline` does per scan beside that (records, maps, reading) is left out, for it would take most of the time of
hundreds of thousands of tiny scans; `tests/validation` holds these tables against those of `Pipeline`, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import RESOLUTION_MM, RunConfig
from ..models import ModelPackage
from ..quantify import LAYER_ROWS, shapley, value_region_rows
from ..quantify.inference import difference
from ..steps.coalitions import NUM_PLAYERS, coalition_logits
from ..steps.compiled import Graphs
from ..steps.lane import Lane
from ..steps.prepare import ModelInput
from ..steps.reduce import measure
from ..types import SETUP_CHANNELS, LayerMask
from .light import GRID, SPACING_MM, WINDOWS, Cohort

Float = NDArray[np.float64]
METHOD, TARGET, MASK = "layer_shapley", "margin:case-control", "manual"


@dataclass(frozen=True)
class Values:
    """What one model says of one cohort. coalitions (n, 128): the margin of every coalition, logits; phi (n, 7);
    margin (n,): of the scans themselves."""

    coalitions: Float
    phi: Float
    margin: Float


def new_lane() -> Lane:
    """One thread, ONNX Runtime, all 128 coalitions of a scan in one call."""
    config = RunConfig(methods=(METHOD,), mask="given", coalition_batch=1 << NUM_PLAYERS, engine="onnxruntime")
    return Lane("onnxruntime", config, 1, Graphs(config.target))


def model_images(cohort: Cohort, package: ModelPackage) -> NDArray[np.float32]:
    """(n, C, z, y, x) in model-input units, as `steps.prepare` makes them."""
    channels = package.manifest.channels
    out = np.empty((len(cohort.names), len(channels), *GRID), np.float32)
    for image, i in zip(out, range(len(out)), strict=True):
        for target, channel in zip(image, channels, strict=True):
            volume, window = cohort.volumes[channel.modality][i], WINDOWS[channel.modality]
            ops.resample(volume, GRID, interpolation="linear", antialias=True, window=window, out=target, threads=1)
    return out


def values(cohort: Cohort, package: ModelPackage, lane: Lane) -> Values:
    """Every coalition of every scan through the model, with the fill that the lane's configuration names."""
    out = []
    for image, labels in zip(model_images(cohort, package), cohort.labels, strict=True):
        mask = LayerMask(labels, SPACING_MM, MASK)
        out.append(package.target_values(coalition_logits(ModelInput(image, ()), mask, lane, package)))
    coalitions = np.stack(out)
    return Values(coalitions, shapley(coalitions), coalitions[:, -1])


def contrasts(phi: Float, is_case: NDArray[np.bool_]) -> Float:
    """D_k of the six layers, in logits: mean of the cases less mean of the controls, one scan a subject."""
    found, _ = difference(phi[is_case], phi[~is_case])
    return found[list(LAYER_ROWS)]


def first(contrast: Float) -> int | None:
    """Position (0..5) of the layer whose contrast is above all others and above 0; None where several share it."""
    top = int(np.argmax(contrast))
    alone = int((contrast == contrast[top]).sum()) == 1
    return top if alone and contrast[top] > 0 else None


def tables(
    cohort: Cohort, found: Values, package: ModelPackage, take: NDArray[np.intp], is_case: NDArray[np.bool_] | None = None
) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """Columns of layers.parquet and rows of scans.parquet of the subjects `take`; is_case (n,) in place of the
    cohort's own labels."""
    labels = cohort.is_case if is_case is None else is_case
    columns: dict[str, list[Any]] = {}
    scans = []
    for i in take.tolist():
        name, label = cohort.names[i], "case" if labels[i] else "control"
        common = {
            "scan_id": name, "subject": name, "label": label, "setup": package.manifest.setup, "method": METHOD,
            "model": package.manifest.name, "member": package.manifest.member, "fill": "cohort_profile",
            "target": TARGET, "mask": MASK, "channel": "", "margin": float(found.margin[i]),
            "exposure": package.exposure(name), "flags": "",
        }  # fmt: skip
        for row in _regions(cohort.labels[i], found.coalitions[i], package.manifest.setup):
            for key, value in {**common, **row}.items():
                columns.setdefault(key, []).append(value)
        scans.append({"scan_id": name, "subject": name, "label": label, "status": "ok", "swe_valid_fraction": 1.0})
    return columns, scans


def _regions(labels: NDArray[np.uint8], coalitions: Float, setup: str) -> list[dict[str, Any]]:
    """The eleven rows of one scan."""
    shape = measure(LayerMask(labels, SPACING_MM, MASK), "y")
    return value_region_rows(
        METHOD, coalitions, count=shape.count, voxel_mm3=float(np.prod(SPACING_MM)), thickness_mm=shape.thickness_mm,
        resolution_mm=min(RESOLUTION_MM[m] for m in SETUP_CHANNELS[setup]),
    )  # fmt: skip
