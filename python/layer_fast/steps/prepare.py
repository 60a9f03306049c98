"""prepare: Scan -> ModelInput. Each model has its own grid, channels and intensity window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..errors import StepFailure
from ..models import ModelPackage
from ..models.manifest import Channel
from ..ops import IntensityStats
from ..types import Scan, Volume
from .lane import Lane

_NARROW, _OUTSIDE = 0.1, 0.01  # shares of the window and of the voxels, see range_flags


@dataclass(frozen=True, slots=True)
class Donor:
    """Another subject's scan as the same model sees it. image: float32 (channel, z, y, x); labels: uint8 (z, y, x) on
    the same grid; sha256: over the hashes of its files."""

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelInput:
    """image: float32 (channel, z, y, x) in [0, 1] on the model's grid. flags: what the model was not made for.
    donor: whose layers the fill `donor` takes."""

    image: NDArray[np.float32]
    flags: tuple[str, ...]
    donor: Donor | None = None


@dataclass(slots=True)
class Shared:
    """What the models of a run need of one scan alike. channels: on a grid, by all that makes them. stats: of the
    volumes, by modality. placed: the volumes where the lane's arrays are, each brought there once."""

    channels: dict[tuple[Any, ...], NDArray[np.float32]] = field(default_factory=dict)
    stats: dict[str, IntensityStats] = field(default_factory=dict)
    placed: dict[str, Any] = field(default_factory=dict)

    def volume(self, scan: Scan, modality: str, lane: Lane) -> Any:
        """The array of a volume where the lane's arrays are."""
        if modality not in self.placed:
            self.placed[modality] = lane.place.put(scan.volumes[modality].array)
        return self.placed[modality]


def prepare(
    items: list[tuple[Scan, Shared]], lane: Lane, package: ModelPackage, fov_tolerance: float
) -> list[ModelInput]:
    """Resample every channel the model sees onto its grid and window it. One array per scan, not reused; a channel
    that another model has seen on the same grid is copied."""
    return [_prepare(scan, shared, lane, package, fov_tolerance) for scan, shared in items]


def _prepare(scan: Scan, shared: Shared, lane: Lane, package: ModelPackage, fov_tolerance: float) -> ModelInput:
    manifest = package.manifest
    missing = [channel.modality for channel in manifest.channels if channel.modality not in scan.volumes]
    if missing:
        message = f"{manifest.name} needs {missing[0]}, the scan has none"
        raise StepFailure("modality_missing", message, input_at_fault=True)
    grid = manifest.grid_for(scan.grid.array.shape)
    image = lane.place.empty((len(manifest.channels), *grid), np.float32)
    for target, channel in zip(image, manifest.channels, strict=True):
        window = (float(channel.window[0]), float(channel.window[1]))
        key = (channel.modality, grid, manifest.antialias, window, channel.missing_value)
        if key in shared.channels:
            target[...] = shared.channels[key]
            continue
        shared.channels[key] = ops.resample(
            _finite(shared.volume(scan, channel.modality, lane), channel),
            grid,
            interpolation="linear",
            antialias=manifest.antialias,
            window=window,
            out=target,
            threads=lane.op_threads,
        )
    flags = list(domain_flags(scan.grid, manifest.fov_mm, fov_tolerance))
    for channel in manifest.channels:
        array = shared.volume(scan, channel.modality, lane)
        if channel.modality not in shared.stats:
            shared.stats[channel.modality] = ops.intensity_stats(array, threads=lane.op_threads)
        flags += [f for f in range_flags(array, channel, shared.stats[channel.modality]) if f not in flags]
    return ModelInput(image, tuple(flags))


def _finite(array: Any, channel: Channel) -> Any:
    """The array without holes: nothing was measured there, so the model sees the value its manifest names."""
    if channel.modality != "swe":
        return array
    holes = np.isnan(array)
    return np.where(holes, np.float32(channel.missing_value), array) if holes.any() else array


def domain_flags(grid: Volume, fov_mm: Sequence[float | None], tolerance: float) -> tuple[str, ...]:
    """Flags of a scan that is not what the model was trained on: frames, or another field of view.

    fov_mm: the model's, None along an axis that may have any extent, as the slice axis of a 2D model."""
    if grid.kind == "frames":
        return ("frames_not_volume", "outside_model_domain")
    fov = [n * mm for n, mm in zip(grid.array.shape, grid.spacing_mm, strict=True)]
    pairs = [(seen, made) for seen, made in zip(fov, fov_mm, strict=True) if made is not None]
    inside = all(abs(seen - made) <= tolerance * made for seen, made in pairs)
    return () if inside else ("outside_model_domain",)


def range_flags(array: Any, channel: Channel, stats: IntensityStats) -> tuple[str, ...]:
    """Flags of a volume on another intensity scale than the channel's window: more than 1 % of the voxels outside it,
    or all of them within a tenth of it (0..1 where 0..255 is meant, 12 bits where 8 are)."""
    low, high = channel.window
    if low <= stats.min and stats.max <= high:
        odd = bool(stats.max - stats.min < _NARROW * (high - low))
    else:
        outside = int(np.count_nonzero((array < low) | (array > high)))
        odd = bool(outside > _OUTSIDE * stats.count)
    return ("intensity_scale", "outside_model_domain") if odd else ()
