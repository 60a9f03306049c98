"""segment: ModelInput -> LayerMask on the scan's own grid, or the mask that came with the scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..engines import run_padded
from ..errors import StepFailure
from ..models import ModelPackage
from ..types import LayerMask, Scan
from .lane import Lane
from .prepare import ModelInput


def segment(items: list[tuple[Scan, ModelInput]], lane: Lane, package: ModelPackage) -> list[LayerMask]:
    """Label every voxel of the scan's grid: class logits are interpolated and compared voxel by voxel,
    so that full-size logits never exist."""
    if package.manifest.spatial_dims == 2:  # a scan's slices are a batch already, and scans differ in their number
        return [one for item in items for one in _segment([item], lane, package, 1)]
    return _segment(items, lane, package, lane.config.scan_batch)


def _segment(items: list[tuple[Scan, ModelInput]], lane: Lane, package: ModelPackage, batch: int) -> list[LayerMask]:
    images = np.stack([model_input.image for _, model_input in items])
    manifest = package.manifest
    (logits,) = run_padded(lane.forward(package), {manifest.input: images}, (manifest.output,), batch)
    if not np.isfinite(logits).all():
        raise StepFailure("segmenter_nonfinite", "the segmenter gave NaN or Inf", input_at_fault=False)
    source = f"model:{manifest.name}"
    return [
        LayerMask(_labels(one, scan, lane), scan.grid.spacing_mm, source)
        for one, (scan, _) in zip(logits, items, strict=True)
    ]


def _labels(logits: NDArray[np.float32], scan: Scan, lane: Lane) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = ops.argmax_resample(logits, scan.grid.array.shape, threads=lane.op_threads)
    return found


def given_masks(scans: list[Scan], lane: Lane) -> list[LayerMask]:
    """The masks that came with the scans; of several, the one named "manual", else the first by name."""
    masks = []
    for scan in scans:
        if not scan.masks:
            raise StepFailure("no_mask", "expected a mask in the cohort table, found none", input_at_fault=True)
        source = "manual" if "manual" in scan.masks else min(scan.masks)
        masks.append(LayerMask(lane.place.put(scan.masks[source].array), scan.grid.spacing_mm, source))
    return masks


def no_segmenter(scans: list[Scan]) -> list[LayerMask]:
    """What stands in for `segment` where the models hold no segmenter."""
    raise StepFailure("no_segmenter", "the scan has no mask and the models hold no segmenter", input_at_fault=True)
