"""From cohorts to the tables that the claim rule reads, by the library's own steps: resampling and window, coalitions
composed by `ops.layer_compose`, ONNX Runtime, exact Shapley values, `quantify`.

What `Pipeline` does per scan beside that (records, maps, reading) is left out, for it would take most of the time of
hundreds of thousands of tiny scans; `tests/validation` holds these tables against those of `Pipeline`, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops, quantify
from ..config import RESOLUTION_MM, RunConfig
from ..fills import DEFAULT_FILLS
from ..models import ModelPackage
from ..quantify import LAYER_ROWS, REGION_ORDER, shapley
from ..quantify.inference import difference
from ..quantify.rows import LOW_N
from ..steps.coalitions import NUM_PLAYERS, coalition_logits
from ..steps.compiled import Graphs
from ..steps.lane import Lane
from ..steps.prepare import ModelInput
from ..steps.reduce import Geometry, measure
from ..types import SETUP_CHANNELS, LayerMask
from .light import GRID, SPACING_MM, WINDOWS, Cohort

Float = NDArray[np.float64]
METHOD, TARGET, MASK = "layer_shapley", "margin:case-control", "manual"
VOXEL_MM3 = float(np.prod(SPACING_MM))


@dataclass(frozen=True)
class Values:
    """What one model says of one cohort. coalitions (n, 128): the margin of every coalition, logits; phi (n, 7);
    margin (n,): of the scans themselves."""

    coalitions: Float
    phi: Float
    margin: Float


def new_lane(fills: tuple[str, ...] = DEFAULT_FILLS) -> Lane:
    """One thread, ONNX Runtime, all 128 coalitions of a scan and fill in one call."""
    options: dict[str, Any] = {"coalition_batch": 1 << NUM_PLAYERS, "engine": "onnxruntime", "fills": fills}
    config = RunConfig(methods=(METHOD,), mask="given", **options)
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


def values(cohort: Cohort, package: ModelPackage, lane: Lane) -> dict[str, Values]:
    """Every coalition of every scan through the model, by fill of the lane's configuration."""
    found: dict[str, list[Float]] = {fill: [] for fill in lane.config.fills}
    for image, labels in zip(model_images(cohort, package), cohort.labels, strict=True):
        by_fill = coalition_logits(ModelInput(image, ()), LayerMask(labels, SPACING_MM, MASK), lane, package)
        for fill, logits in by_fill.items():
            found[fill].append(package.target_values(logits))
    stacked = {fill: np.stack(rows) for fill, rows in found.items()}
    return {fill: Values(v, shapley(v), v[:, -1]) for fill, v in stacked.items()}


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
    cohort: Cohort, found: dict[str, Values], package: ModelPackage, is_case: NDArray[np.bool_] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of layers.parquet and of scans.parquet, subject by subject; is_case (n,): in place of the cohort's own."""
    labels = cohort.is_case if is_case is None else is_case
    layers, scans = [], []
    for i, name in enumerate(cohort.names):
        label = "case" if labels[i] else "control"
        shape = measure(LayerMask(cohort.labels[i], SPACING_MM, MASK), "y")
        for fill, one in found.items():
            common = {
                "scan_id": name, "subject": name, "label": label, "setup": package.manifest.setup, "method": METHOD,
                "model": package.manifest.name, "member": package.manifest.member, "fill": fill, "target": TARGET,
                "mask": MASK, "channel": "", "margin": float(one.margin[i]), "exposure": package.exposure(name),
            }  # fmt: skip
            layers += [{**common, **row} for row in _regions(shape, one.phi[i], package.manifest.setup)]
        scans.append({"scan_id": name, "subject": name, "label": label, "status": "ok", "swe_valid_fraction": 1.0})
    return layers, scans


def _regions(shape: Geometry, phi: Float, setup: str) -> list[dict[str, Any]]:
    """The eleven rows of one scan: those of `quantify.value_region_rows`, which would work out phi once more."""
    resolution_mm = min(RESOLUTION_MM[m] for m in SETUP_CHANNELS[setup])
    rows = []
    for region in REGION_ORDER:
        n = int(shape.count[list(region.members)].sum())
        mm = float(shape.thickness_mm[region.members[0]]) if region.kind == "layer" else None
        value = fsum(float(phi[k]) for k in region.members if shape.count[k] > 0) if n else np.nan
        rows.append({
            "region": region.name, "region_kind": region.kind, "label_value": region.label_value, "present": n > 0,
            "n_voxels": n, "volume_mm3": n * VOXEL_MM3, "thickness_mm": mm,
            "unresolved": mm is not None and mm < resolution_mm, "flags": "low_n" if 0 < n < LOW_N else "",
            "value": value,
        })  # fmt: skip
    return rows


def answer(
    layers: list[dict[str, Any]], scans: list[dict[str, Any]], package: ModelPackage, subjects: int | None = None
) -> dict[str, Any]:
    """The claim of the default fill as `quantify.summary` gives it, of the first `subjects` subjects (None: all)."""
    use = scans[:subjects]
    rows = layers[: len(layers) // len(scans) * len(use)]
    found = quantify.summary(rows, use, logit_sd=package.manifest.logit_sd_train)
    return next(one for one in found["answers"] if one["fill"] == DEFAULT_FILLS[0])
