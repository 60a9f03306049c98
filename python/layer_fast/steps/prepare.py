"""prepare: Scan -> ModelInput. Each model has its own grid, channels and intensity window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..errors import StepFailure
from ..models import ModelPackage
from ..models.manifest import Channel
from ..types import Scan, Volume
from .lane import Lane

_NARROW, _OUTSIDE = 0.1, 0.01  # shares of the window and of the voxels, see range_flags


@dataclass(frozen=True, slots=True)
class ModelInput:
    """image: float32 (channel, z, y, x) in [0, 1] on the model's grid. flags: what the model was not made for."""

    image: NDArray[np.float32]
    flags: tuple[str, ...]


def prepare(scans: list[Scan], lane: Lane, package: ModelPackage, fov_tolerance: float) -> list[ModelInput]:
    """Resample every channel the model sees onto its grid and window it. One array per scan, not reused."""
    return [_prepare(scan, lane, package, fov_tolerance) for scan in scans]


def _prepare(scan: Scan, lane: Lane, package: ModelPackage, fov_tolerance: float) -> ModelInput:
    manifest = package.manifest
    missing = [channel.modality for channel in manifest.channels if channel.modality not in scan.volumes]
    if missing:
        message = f"{manifest.name} needs {missing[0]}, the scan has none"
        raise StepFailure("modality_missing", message, input_at_fault=True)
    grid = manifest.grid_for(scan.grid.array.shape)
    image = np.empty((len(manifest.channels), *grid), np.float32)
    for target, channel in zip(image, manifest.channels, strict=True):
        ops.resample(
            _finite(scan.volumes[channel.modality], channel),
            grid,
            interpolation="linear",
            antialias=manifest.antialias,
            window=(float(channel.window[0]), float(channel.window[1])),
            out=target,
            threads=lane.op_threads,
        )
    flags = list(domain_flags(scan.grid, manifest.fov_mm, fov_tolerance))
    for channel in manifest.channels:
        flags += [f for f in range_flags(scan.volumes[channel.modality], channel) if f not in flags]
    return ModelInput(image, tuple(flags))


def _finite(volume: Volume, channel: Channel) -> NDArray[np.float32] | NDArray[np.uint8]:
    """The array without holes: nothing was measured there, so the model sees the value its manifest names."""
    if volume.modality != "swe":
        return volume.array
    holes = np.isnan(volume.array)
    return np.where(holes, np.float32(channel.missing_value), volume.array) if holes.any() else volume.array


def domain_flags(grid: Volume, fov_mm: Sequence[float | None], tolerance: float) -> tuple[str, ...]:
    """Flags of a scan that is not what the model was trained on: frames, or another field of view.

    fov_mm: the model's, None along an axis that may have any extent, as the slice axis of a 2D model."""
    if grid.kind == "frames":
        return ("frames_not_volume", "outside_model_domain")
    fov = [n * mm for n, mm in zip(grid.array.shape, grid.spacing_mm, strict=True)]
    pairs = [(seen, made) for seen, made in zip(fov, fov_mm, strict=True) if made is not None]
    inside = all(abs(seen - made) <= tolerance * made for seen, made in pairs)
    return () if inside else ("outside_model_domain",)


def range_flags(volume: Volume, channel: Channel) -> tuple[str, ...]:
    """Flags of a volume on another intensity scale than the channel's window: more than 1 % of the voxels outside it,
    or all of them within a tenth of it (0..1 where 0..255 is meant, 12 bits where 8 are)."""
    low, high = channel.window
    stats = ops.intensity_stats(volume.array)
    if low <= stats.min and stats.max <= high:
        odd = bool(stats.max - stats.min < _NARROW * (high - low))
    else:
        outside = np.count_nonzero((volume.array < low) | (volume.array > high))
        odd = bool(outside > _OUTSIDE * stats.count)
    return ("intensity_scale", "outside_model_domain") if odd else ()
