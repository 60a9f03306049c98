"""reduce: explanations + mask -> rows of the layer table and coalition values. From here on there are no voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import VALUE_METHODS
from ..models import ModelPackage
from ..models.fill import AXES
from ..quantify import map_region_rows, value_region_rows
from ..types import NUM_LAYERS, REGIONS, LayerMask
from .explain import Explanation
from .lane import Lane
from .maps import AttributionMap
from .record import RunFacts
from .stored import Kept, half_pixel

_INCOMPLETE = 0.05  # see incomplete()
# A bit per label, so that one OR along depth tells which layers a column holds.
_BITS = (1 << np.arange(256, dtype=np.uint64) % 8).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Reduced:
    """rows: rows of layers.parquet without the scan's own columns. flags: what the mask says of the scan. histograms,
    slices: rows of the tables of these names, as far as the options keep them."""

    rows: list[dict[str, Any]]
    flags: tuple[str, ...]
    histograms: list[dict[str, Any]]
    slices: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size of the layers of one mask. count: (7,) voxels. thickness_mm: (7,) mean over the columns that hold the
    layer, NaN where none does. voxel_mm3: None where a spacing is unknown, as between frames."""

    count: NDArray[np.int64]
    thickness_mm: NDArray[np.float64]
    voxel_mm3: float | None
    ordered: bool  # the layers that are there lie in their anatomical order along depth


def reduce(items: list[tuple[LayerMask, list[Explanation]]], lane: Lane, facts: RunFacts) -> list[Reduced]:
    """Reduce every map and coalition table of each scan to rows per region. Raises ValueError for labels above 6."""
    return [_reduce(mask, explanations, lane, facts) for mask, explanations in items]


def _reduce(mask: LayerMask, explanations: list[Explanation], lane: Lane, facts: RunFacts) -> Reduced:
    shape = measure(mask, facts.depth_axis)
    rows: list[dict[str, Any]] = []
    kept = Kept(lane.config.store, lane.config.slice_axis, lane.op_threads)
    for explanation in explanations:
        rows += _map_rows(explanation, mask, shape, lane, facts, kept)
        rows += _value_rows(explanation, mask, shape, facts)
    return Reduced(rows, mask_flags(shape, mask.source), kept.histograms, kept.slices)


def measure(mask: LayerMask, depth_axis: str) -> Geometry:
    """Voxel counts and mean thickness of the layers along the depth axis."""
    if mask.labels.size and (highest := int(mask.labels.max())) > NUM_LAYERS:
        raise ValueError(f"[reduce] expected labels 0..{NUM_LAYERS}, got {highest}")
    axis = AXES[depth_axis]
    planes = np.moveaxis(mask.labels, axis, 0)
    by_depth = np.array([np.bincount(plane.ravel(), minlength=len(REGIONS)) for plane in planes])
    count = by_depth.sum(axis=0)
    held = np.bitwise_or.reduce(_BITS[mask.labels], axis=axis)
    columns = np.array([np.count_nonzero(held & _BITS[k]) for k in range(len(REGIONS))])
    with np.errstate(invalid="ignore"):
        thickness = count / np.where(columns > 0, columns, np.nan) * mask.spacing_mm[axis]
        depth = np.arange(len(planes)) @ by_depth / np.where(count > 0, count, np.nan)
    volume = float(np.prod(mask.spacing_mm))
    ordered = bool((np.diff(depth[1:][count[1:] > 0]) > 0).all())
    return Geometry(count.astype(np.int64), thickness, volume if np.isfinite(volume) else None, ordered)


def mask_flags(shape: Geometry, source: str) -> tuple[str, ...]:
    """What the mask says of the scan: "layers_absent:a+b", "layers_out_of_order".

    A segmenter was trained on scans that hold all six layers, skin first: where it finds fewer, or finds them in
    another order, the scan is not what it was made for (another axis, upside down, another intensity scale).
    """
    absent = [name for name, n in zip(REGIONS[1:], shape.count[1:], strict=True) if n == 0]
    flags = [f"layers_absent:{'+'.join(absent)}"] if absent else []
    if not shape.ordered:
        flags.append("layers_out_of_order")
    if not shape.ordered or (absent and source.startswith("model:")):
        flags.append("outside_model_domain")
    return tuple(flags)


def _map_rows(
    explanation: Explanation, mask: LayerMask, shape: Geometry, lane: Lane, facts: RunFacts, kept: Kept
) -> list[dict[str, Any]]:
    rows = []
    for method, found in explanation.maps.items():
        stack, names = channel_maps(found, explanation.package)
        grid_map = same_field_of_view(mask.labels.shape, stack.shape[1:])
        m = ops.layer_reduce(stack, mask.labels, num_layers=NUM_LAYERS, grid_map=grid_map, threads=lane.op_threads)
        flags = incomplete(found)
        for k, channel in enumerate(names):
            regions = map_region_rows(
                m.count[k], sum=m.sum[k], sum_sq=m.sum_sq[k], sum_abs=m.sum_abs[k], sum_pos=m.sum_pos[k],
                min=m.min[k], max=m.max[k], flags=flags, **_sizes(explanation, shape, facts),
            )  # fmt: skip
            own = {"channel": channel, "residual": found.residual}
            rows += [{**_keyed(r, explanation, method, found.baseline, mask, shape, facts), **own} for r in regions]
            kept.add(stack[k], mask.labels, rows[-1])
    return rows


def channel_maps(found: AttributionMap, package: ModelPackage) -> tuple[NDArray[np.float32], list[str]]:
    """(K, z, y, x) and the name of each map: "" for the map of the whole input, which of a map per channel is their
    sum; with several channels, theirs by modality besides."""
    values = found.values
    if values.ndim == 3:
        return values[None], [""]
    if len(values) == 1:
        return values, [""]
    total = values.sum(axis=0, dtype=np.float64).astype(np.float32)
    return np.concatenate([total[None], values]), ["", *(c.modality for c in package.manifest.channels)]


def incomplete(found: AttributionMap) -> tuple[str, ...]:
    """A flag where integrated gradients miss the change of the target they should add up to by more than 5 %: the
    path was cut into too few steps."""
    if found.residual is None:
        return ()
    change = float(found.values.sum(dtype=np.float64)) - found.residual
    return ("ig_incomplete",) if abs(found.residual) > _INCOMPLETE * abs(change) else ()


def margin(explanation: Explanation) -> float:
    """The target margin of the scan itself, in logits."""
    return float(explanation.package.target_values(explanation.logits))


def same_field_of_view(labels: tuple[int, ...], grid: tuple[int, ...]) -> NDArray[np.float64] | None:
    """None where the map is coarser, which `layer_reduce` interpolates by itself; else the same half-pixel rule as
    a grid_map, label index -> map index: a picture of one slice still meets a map of several."""
    if all(n >= m for n, m in zip(labels, grid, strict=True)):
        return None
    return half_pixel(labels, grid)


def _value_rows(explanation: Explanation, mask: LayerMask, shape: Geometry, facts: RunFacts) -> list[dict[str, Any]]:
    rows = []
    for fill, logits in explanation.coalition_logits.items():
        targets = explanation.package.target_values(logits, facts.kind)
        flags = (f"donor:{explanation.donor[:12]}",) if fill == "donor" else ()
        for method in VALUE_METHODS:
            if method in facts.methods:
                sizes = _sizes(explanation, shape, facts)
                found = value_region_rows(method, targets, count=shape.count, flags=flags, **sizes)
                rows += [_keyed(row, explanation, method, fill, mask, shape, facts) for row in found]
    return rows


def _sizes(explanation: Explanation, shape: Geometry, facts: RunFacts) -> dict[str, Any]:
    modalities = [channel.modality for channel in explanation.package.manifest.channels]
    return {
        "voxel_mm3": 1.0 if shape.voxel_mm3 is None else shape.voxel_mm3,
        "thickness_mm": shape.thickness_mm,
        # With two modalities the sharper one decides whether a layer can be told from its neighbours.
        "resolution_mm": min(facts.resolution_mm[m] for m in modalities),
    }


def _keyed(
    row: dict[str, Any],
    explanation: Explanation,
    method: str,
    fill: str,
    mask: LayerMask,
    shape: Geometry,
    facts: RunFacts,
) -> dict[str, Any]:
    manifest = explanation.package.manifest
    if shape.voxel_mm3 is None:
        row["volume_mm3"] = None
    return {
        "model": manifest.name,
        "member": manifest.member,
        "setup": manifest.setup,
        "method": method,
        "fill": fill,
        "target": facts.target(explanation.package),
        "mask": mask.source,
        "channel": "",
        "residual": None,
        "margin": margin(explanation),
        **row,
    }
