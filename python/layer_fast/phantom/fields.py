"""Random fields and filters, in float64 and by element-wise sums in a fixed order (no BLAS in the long filters)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_STEP_MM, _STEPS = 0.015, 4096  # a line profile repeats every 61.44 mm; a power of two makes the wrap a mask


def gaussian_taps(fwhm_mm: float | Array, spacing_mm: float) -> Array:
    """Return taps 0..R of a symmetric Gaussian, (R + 1, ...), cut near 2.5 sigma; one column per width given."""
    sigma = np.asarray(fwhm_mm, dtype=np.float64) / math.sqrt(8.0 * math.log(2.0)) / spacing_mm
    radius = max(1, math.floor(2.5 * float(sigma.max()) + 0.5))
    offset = np.arange(radius + 1, dtype=np.float64).reshape(-1, *([1] * sigma.ndim))
    out: Array = np.exp(-0.5 * (offset / sigma) ** 2)
    return out


class Blur:
    """A symmetric blur of (y, x) pictures along y, or with `last` along x; what lies outside counts as absent.

    power=1 keeps means (weights sum to 1), power=2 keeps the energy of white noise (their squares do): normalised row
    by row, so edges are neither darker nor smoother than they should be. `taps` is (R + 1,), or with `last`
    (R + 1, y, 1): a width of its own for every depth.
    """

    def __init__(self, taps: Array, n: int, *, power: int, last: bool = False) -> None:
        self.taps, self.last = taps, last
        rows = taps.shape[1] if taps.ndim == 3 else 1
        total = self._sum(np.ones((rows, n) if last else (n, 1)), taps**power)
        self.scale = 1.0 / (total if power == 1 else np.sqrt(total))

    def __call__(self, picture: Array) -> Array:
        """Return the blurred picture, (y, x)."""
        out = self._sum(picture, self.taps)
        out *= self.scale
        return out

    def _sum(self, field: Array, taps: Array) -> Array:
        n = field.shape[-1]
        if self.last:  # room for the shifts between the rows, so that one long addition serves all rows
            wide = np.zeros((field.shape[0], n + len(taps) - 1))
            wide[:, :n] = field
            field = wide
        step = 1 if self.last else n
        out: Array = taps[0] * field
        flat = out.reshape(-1)
        for r in range(1, len(taps)):
            shift = r * step
            if shift >= flat.size:
                break
            scaled = (taps[r] * field).reshape(-1)
            flat[shift:] += scaled[:-shift]
            flat[:-shift] += scaled[shift:]
        return out[:, :n] if self.last else out


def blur_pictures(volume: Array, taps: Array, *, power: int) -> Array:
    """Return `volume` blurred along its first axis, normalised like `Blur`, one picture at a time."""
    out = np.empty_like(volume)
    n = len(volume)
    for i, target in enumerate(out):
        total = taps[0] ** power
        np.multiply(volume[i], taps[0], out=target)
        for r in range(1, len(taps)):
            for j in (i - r, i + r):
                if 0 <= j < n:
                    target += taps[r] * volume[j]
                    total += taps[r] ** power
        target *= 1.0 / (total if power == 1 else math.sqrt(total))
    return out


def _spline_matrix(axis_mm: Array, knot_mm: float) -> Array:
    """Return cubic B-spline weights (n, knots); each row has unit energy, so white knots give unit variance."""
    position = (axis_mm - axis_mm[0]) / knot_mm + 1.0
    distance = np.abs(position[:, None] - np.arange(int(position[-1]) + 3)[None, :])
    near = 2.0 / 3.0 - distance**2 + 0.5 * distance**3
    far = np.maximum(2.0 - distance, 0.0) ** 3 / 6.0
    weights = np.where(distance < 1.0, near, far)
    out: Array = weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return out


def smooth_field(
    rng: np.random.Generator,
    axes: tuple[Array, Array, Array],
    knots_mm: tuple[float, float, float],
    rows: slice = slice(None),
) -> Array:
    """Return a smooth Gaussian field (z, y, x), mean 0, variance 1 in every voxel, with knots this far apart (mm).

    rows: the part of y wanted; the draws, hence the values, do not depend on it.
    """
    wz, wy, wx = (_spline_matrix(axis, knot) for axis, knot in zip(axes, knots_mm, strict=True))
    knots = rng.standard_normal((wz.shape[1], wy.shape[1], wx.shape[1]))
    planes = np.tensordot(wz, knots, axes=(1, 0))
    out: Array = wy[rows] @ (planes @ wx.T)
    return out


def sharp_lines(rng: np.random.Generator, *, spacing_mm: float, width_mm: float) -> Array:
    """Return a repeating profile: bright lines at irregular heights, strength 0..1."""
    number = round(_STEPS * _STEP_MM / spacing_mm)
    centre = (np.arange(number) + rng.uniform(-0.35, 0.35, number)) * spacing_mm / _STEP_MM
    strength, width = rng.uniform(0.35, 1.0, number), width_mm / _STEP_MM * rng.uniform(0.6, 1.4, number)
    profile, near = np.zeros(_STEPS), np.arange(-80, 81)
    for c, s, w in zip(centre, strength, width, strict=True):
        at = math.floor(c) + near
        profile[at & (_STEPS - 1)] += s * np.exp(-0.5 * ((at - c) / w) ** 2)
    return np.minimum(profile, 1.0)


def profile_lookup(y: Array, offset: Array, profile: Array) -> Array:
    """Return the repeating profile's strength (y, x) at height y + offset (x), mm; the height must be above -180."""
    steps = (y / _STEP_MM)[:, None] + (offset / _STEP_MM + 3.0 * _STEPS)[None, :]
    out: Array = profile[steps.astype(np.intp) & (_STEPS - 1)]
    return out
