"""The fills of a model package, `cohort_profile` and `constant`: what replaces the content of a removed layer.

The profile holds the mean of the training subjects' model input by channel, label and relative depth. A voxel's
relative depth is (its rank among the voxels of its label in its depth column + 1/2) / (their number), so the first
voxel of a layer of four lies at 1/8, whatever the layer's depth and thickness.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum

import numpy as np
from numpy.typing import NDArray

AXES = {"z": 0, "y": 1, "x": 2}


def depth_bins(
    labels: NDArray[np.uint8], bins: int, *, depth_axis: str = "y", num_layers: int = 6
) -> NDArray[np.int32]:
    """Relative-depth bin (0 .. bins - 1) of every voxel within its own label and column.

    labels: (z, y, x) uint8, values 0..num_layers. Returns (z, y, x) int32: floor(bins * (rank + 1/2) / count), in whole
    numbers, so no rounding decides. Raises ValueError for labels above num_layers or a wrong axis.
    """
    if labels.ndim != 3 or labels.dtype != np.uint8:
        raise ValueError(f"[labels] expected (z, y, x) uint8, got {labels.ndim} axes of {labels.dtype}")
    if depth_axis not in AXES:
        raise ValueError(f"[depth_axis] expected one of {list(AXES)}, got {depth_axis!r}")
    if labels.size and int(labels.max()) > num_layers:
        raise ValueError(f"[labels] expected values 0..{num_layers}, got {int(labels.max())}")
    columns = np.moveaxis(labels, AXES[depth_axis], 0).copy()
    out = np.zeros_like(columns, dtype=np.int32)
    for label in range(num_layers + 1):
        mask = columns == label
        if not mask.any():
            continue
        rank = np.cumsum(mask, axis=0, dtype=np.int32)  # 1 for the first voxel
        count = rank[-1]
        found = (2 * rank - 1) * bins // np.maximum(2 * count, 1)
        np.copyto(out, found, where=mask)
    return np.moveaxis(out, 0, AXES[depth_axis]).copy()


def fill_image(labels: NDArray[np.uint8], profile: NDArray[np.float32], depth_axis: str = "y") -> NDArray[np.float32]:
    """Fill image (C, z, y, x) float32 in model-input units for `layer_compose`.

    labels: (z, y, x) uint8 on the classifier's grid. profile: (C, num_layers + 1, bins). NumPy, or both CuPy.
    """
    if profile.ndim != 3:
        raise ValueError(f"[profile] expected (channels, labels, bins), got {profile.ndim} axes")
    channels, regions, bins = profile.shape
    index = depth_bins(labels, bins, depth_axis=depth_axis, num_layers=regions - 1)
    index += labels.astype(np.int32) * bins
    table = profile.reshape(channels, regions * bins).astype(np.float32, copy=False)
    return np.take(table, index, axis=1)


def constant_fill(profile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill values (C, num_layers + 1) float32 for `layer_compose`, the same for every label: the mean of the profile
    (C, num_layers + 1, bins) over labels and bins.

    Every label and bin counts alike, however thick the layer: weights by volume would be those of one scan or draw the
    number towards the thickest layer, which would then be the one that hardly changes.
    """
    if profile.ndim != 3:
        raise ValueError(f"[profile] expected (channels, labels, bins), got {profile.ndim} axes")
    channels, regions, _ = profile.shape
    mean = [fsum(channel.ravel().tolist()) / channel.size for channel in profile.astype(np.float64)]
    return np.repeat(np.array(mean, np.float32)[:, None], regions, axis=1).reshape(channels, regions)


def mean_profile(
    scans: Iterable[tuple[str, NDArray[np.float32], NDArray[np.uint8]]],
    bins: int,
    *,
    depth_axis: str = "y",
    num_layers: int = 6,
) -> NDArray[np.float64]:
    """Fill profile (C, num_layers + 1, bins) of (subject, image (C, z, y, x), labels (z, y, x)) scans.

    Voxels are averaged within a subject, then subjects with equal weight. A bin that no voxel ever falls into (a layer
    that is never thick enough) is interpolated between its neighbours. Raises ValueError where a label never occurs.
    """
    totals: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    regions = num_layers + 1
    for subject, image, labels in scans:
        index = depth_bins(labels, bins, depth_axis=depth_axis, num_layers=num_layers).ravel()
        index = index + labels.ravel().astype(np.int32) * bins
        size = regions * bins
        count = np.bincount(index, minlength=size).astype(np.float64)
        each = [np.bincount(index, channel.ravel(), minlength=size) for channel in image]
        sums = np.stack(each).astype(np.float64)
        if subject in totals:
            totals[subject][0].__iadd__(sums)
            totals[subject][1].__iadd__(count)
        else:
            totals[subject] = (sums, count)
    if not totals:
        raise ValueError("[scans] expected at least one scan, got none")
    total = np.zeros_like(next(iter(totals.values()))[0])
    seen = np.zeros(total.shape[1], np.float64)
    for sums, count in totals.values():
        there = count > 0
        total[:, there] += sums[:, there] / count[there]
        seen += there
    mean = np.divide(total, seen, out=np.full_like(total, np.nan), where=seen > 0)
    return _bridge(mean.reshape(-1, regions, bins))


def _bridge(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.arange(profile.shape[2])
    for label in range(profile.shape[1]):
        known = np.isfinite(profile[0, label])
        if not known.any():
            raise ValueError(f"[scans] expected voxels of label {label} in some scan, got none")
        for channel in profile[:, label]:
            channel[~known] = np.interp(places[~known], places[known], channel[known])
    return profile
