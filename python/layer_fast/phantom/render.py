"""One scan, from its specification to voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layer_fast.phantom.acoustics import bmode
from layer_fast.phantom.anatomy import axes_mm, boundaries_mm, label_volume
from layer_fast.phantom.effects import changes
from layer_fast.phantom.shearwave import shear_wave
from layer_fast.phantom.spec import ScanSpec


@dataclass(frozen=True, slots=True)
class PhantomScan:
    """bmode uint8, swe float32 m/s (NaN: not measured), labels uint8 0..6, all (z, y, x); z elevational, y depth
    (skin at small y), x lateral. `affine` is 4 x 4, index (z, y, x) -> mm, RAS+."""

    bmode: NDArray[np.uint8]
    swe: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    spec: ScanSpec


def affine_zyx(spec: ScanSpec) -> NDArray[np.float64]:
    """Return index (z, y, x) -> mm, RAS+, of a prone subject: z to the head, y (depth) to the front, x to the right."""
    dz, dy, dx = spec.spacing_mm
    z, y, x = axes_mm(spec)
    out = np.zeros((4, 4))
    out[2, 0], out[1, 1], out[0, 2], out[3, 3] = dz, dy, dx, 1.0
    out[:3, 3] = x[0], y[0], z[0]
    return out


def render(spec: ScanSpec) -> PhantomScan:
    """Return the scan's voxels: a pure function of `spec`, the same on every machine."""
    boundaries = boundaries_mm(spec)
    labels = label_volume(boundaries, spec)
    index = labels.astype(np.intp)
    change = changes(spec.effects, spec.is_case)
    return PhantomScan(
        bmode=bmode(spec, boundaries, index, change),
        swe=shear_wave(spec, boundaries, index, change),
        labels=labels,
        spacing_mm=spec.spacing_mm,
        affine=affine_zyx(spec),
        spec=spec,
    )
