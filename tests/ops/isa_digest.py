"""Writes one digest a case over all operations, for comparison between instruction sets and thread counts."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np

from layer_fast import ops

OBLIQUE = np.array([[0.9, 0.2, -0.1, 0.3], [-0.15, 1.1, 0.05, -0.6], [0.1, -0.2, 0.8, 1.2], [0, 0, 0, 1.0]])
FIELDS = "count nonfinite sum sum_sq sum_abs sum_pos min max argmax quantiles top_share histogram"
FLIPPED = np.array([[0.7, 0, 0, 0.1], [0, -1.3, 0, 40], [0, 0, 2.9, -3.0], [0, 0, 0, 1.0]])


def show(name: str, array: Any) -> None:
    sys.stdout.write(f"{name} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]}\n")


def volume_of(dtype: str) -> Any:
    """Noise with a hole and an infinity where the dtype has them."""
    volume = np.random.default_rng(3).normal(120, 60, (21, 37, 53))
    if dtype != "float32":
        return volume.clip(0, 255).astype(dtype)
    volume[3, 4, 5], volume[10, 20, 30] = np.nan, np.inf
    return volume.astype("float32")


def resampling() -> None:
    for dtype in ("uint8", "int16", "uint16", "float32"):
        volume = volume_of(dtype)
        for kind in ("nearest", "linear", "cubic", "bspline"):
            for shape in ((9, 17, 29), (30, 50, 80), (1, 37, 7)):
                show(f"{dtype} {kind} {shape}", ops.resample(volume, shape, interpolation=kind))
                show(f"{dtype} {kind} {shape} own", ops.resample(volume, shape, interpolation=kind, dtype=dtype))
            for grid_map in (OBLIQUE, FLIPPED):
                show(
                    f"{dtype} {kind} mapped", ops.resample(volume, (11, 19, 23), interpolation=kind, grid_map=grid_map)
                )
            for width in (70, 49, 34, 26, 20):  # taps of a group of outputs closer together and further apart
                show(f"{dtype} {kind} wide {width}", ops.resample(volume, (3, 5, width), interpolation=kind))
        crossing(dtype, volume)
        show(f"{dtype} antialias", ops.resample(volume, (4, 9, 11), antialias=True, window=(20, 200)))


def crossing(dtype: str, volume: Any) -> None:
    """Maps that mix the axes: long rows, rows that leave the volume, whole steps beside NaN, axes of one voxel."""
    inside = np.eye(4)
    inside[:3] = [[0.05, 0.1, 0.05, 1.5], [0.1, 0.9, -0.01, 4.0], [0.02, 0.03, 0.17, 1.25]]
    whole = np.array([[0, 1.0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    show(f"{dtype} long rows", ops.resample(volume, (6, 11, 270), grid_map=inside))
    show(f"{dtype} leaving", ops.resample(volume, (6, 11, 300), grid_map=OBLIQUE * [[2], [2], [2], [1]]))
    show(f"{dtype} swapped", ops.resample(volume, (37, 21, 41), grid_map=whole))
    for flat in (volume[3:4], volume[:, 4:5], volume[:1, :1], volume[:, :, 5:7]):
        show(f"{dtype} {flat.shape}", ops.resample(flat.copy(), (5, 6, 29), grid_map=OBLIQUE))


def labels() -> None:
    logits = np.random.default_rng(4).normal(size=(7, 8, 12, 15)).astype(np.float32)
    for shape in ((5, 6, 7), (16, 37, 50)):
        show(f"argmax {shape}", ops.argmax_resample(logits, shape))
    show("argmax oblique", ops.argmax_resample(logits, (9, 9, 9), grid_map=OBLIQUE))
    mask = np.random.default_rng(5).integers(0, 7, (13, 22, 41)).astype(np.uint8)
    show("labels nearest", ops.resample_labels(mask, (7, 30, 60)))
    show("labels fraction", ops.resample_labels(mask, (5, 9, 11), mode="fraction", num_labels=7))


def layers() -> None:
    rng = np.random.default_rng(6)
    grid = (13, 101, 111)  # more voxels than order statistics collect at once
    stacked = np.clip(np.indices(grid)[1] // 15 + rng.integers(0, 2, grid) * (np.indices(grid)[2] > 80), 0, 6)
    maps = rng.standard_normal((3, *grid)).astype(np.float32)
    maps[1] = np.abs(maps[1])
    maps[2, 3, 40:60], maps[2, 5, 5, 5] = np.nan, -np.inf
    options: dict[str, Any] = {"quantiles": (0.1, 0.5, 0.95), "top_fraction": 0.05, "histogram": (-2.0, 2.0, 33)}
    for kind, mask in (("stacked", stacked.astype(np.uint8)), ("mixed", rng.integers(0, 7, grid).astype(np.uint8))):
        for name, source in (("full", maps), ("coarse", maps[:, ::4, ::9, ::7]), ("fine", maps[:, :, :, ::2])):
            moments = ops.layer_reduce(source, mask, **options)
            for field in FIELDS.split():
                show(f"reduce {kind} {name} {field}", getattr(moments, field))
        show(f"weights {kind}", ops.layer_weights(mask, (4, 7, 9)))
        small = OBLIQUE * 0.1 + np.diag([0, 0, 0, 0.9])
        show(f"weights oblique {kind}", ops.layer_weights(mask, (4, 7, 9), grid_map=small))
        sets = rng.random((5, 7)) > 0.5
        show(f"compose {kind}", ops.layer_compose(maps[:2], mask, sets, fill_values=rng.random((2, 7))))
    soft = rng.random((3, *grid)).astype(np.float32)
    show("reduce weights", ops.layer_reduce(maps, None, weights=soft, num_layers=2).sum)


def intensities() -> None:
    for dtype in ("uint8", "int16", "uint16", "float32"):
        volume = volume_of(dtype)
        volume[:2] = 0
        for within in ("all", "nonzero", (np.random.default_rng(7).random(volume.shape) < 0.5)):
            stats = ops.intensity_stats(volume, percentiles=(0.5, 50, 99.5), within=within)
            show(f"stats {dtype}", np.array([stats.count, stats.sum, stats.mean, stats.std, *stats.percentiles]))
            for method in ("zscore", "percentile"):
                show(f"{method} {dtype}", ops.normalize(volume, method=method, within=within))


def past_the_caches() -> None:
    """Float32 results of more than 32 MiB, resampled ones of more than 64, are written around any cache."""
    rng = np.random.default_rng(8)
    large = rng.integers(0, 256, (80, 320, 336), dtype=np.uint8)
    show("zscore large", ops.normalize(large, within="nonzero"))
    image, mask = rng.random((1, *large.shape), np.float32), np.sort(large % 7, axis=1)
    show("compose large", ops.layer_compose(image, mask, rng.random((1, 7)) > 0.5, fill_values=rng.random((1, 7))))
    show("linear large", ops.resample(image[0, :20, :64, :50], (70, 641, 401)))
    show("percentile large", ops.normalize(large, method="percentile", within="nonzero"))
    noise = np.random.default_rng(9).normal(20, 30, large.shape).astype(np.float32)
    noise[3, 4, :50], noise[5, 6, 7], noise[8] = np.nan, -np.inf, np.round(noise[8] / 50)
    for within in ("all", "nonzero", large < 90):
        found = ops.intensity_stats(noise, percentiles=(0.5, 60, 99.5), within=within)
        show("stats large", np.array([found.count, found.nonfinite, found.mean, found.std, *found.percentiles]))
        show("percentile large", ops.normalize(noise, method="percentile", within=within))


if __name__ == "__main__":
    resampling()
    labels()
    layers()
    intensities()
    past_the_caches()
