"""prepare: Scan -> ModelInput. Each model has its own grid, channels and intensity window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..models import ModelPackage
from ..models.manifest import Channel
from ..types import Scan, Volume
from .lane import Lane


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
    image = np.empty((len(manifest.channels), *manifest.grid), np.float32)
    for target, channel in zip(image, manifest.channels, strict=True):
        ops.resample(
            _finite(scan.volumes[channel.modality], channel),
            tuple(manifest.grid),
            interpolation="linear",
            antialias=manifest.antialias,
            window=(float(channel.window[0]), float(channel.window[1])),
            out=target,
            threads=lane.op_threads,
        )
    return ModelInput(image, domain_flags(scan.grid, manifest.fov_mm, fov_tolerance))


def _finite(volume: Volume, channel: Channel) -> NDArray[np.float32] | NDArray[np.uint8]:
    """The array without holes: nothing was measured there, so the model sees the value its manifest names."""
    if volume.modality != "swe":
        return volume.array
    holes = np.isnan(volume.array)
    return np.where(holes, np.float32(channel.missing_value), volume.array) if holes.any() else volume.array


def domain_flags(grid: Volume, fov_mm: Sequence[float], tolerance: float) -> tuple[str, ...]:
    """Flags of a scan that is not what the model was trained on: frames, or another field of view."""
    if grid.kind == "frames":
        return ("frames_not_volume", "outside_model_domain")
    fov = [n * mm for n, mm in zip(grid.array.shape, grid.spacing_mm, strict=True)]
    inside = all(abs(seen - made) <= tolerance * made for seen, made in zip(fov, fov_mm, strict=True))
    return () if inside else ("outside_model_domain",)
