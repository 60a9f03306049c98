"""Shear-wave speed maps: layer-wise speed seen through a stated kernel, with noise, drop-outs and holes."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from layer_fast.phantom.anatomy import axes_mm
from layer_fast.phantom.effects import Changes
from layer_fast.phantom.fields import Blur, blur_pictures, gaussian_taps, smooth_field
from layer_fast.phantom.spec import ScanSpec, Stream

Array = NDArray[np.float64]

# m/s by label value; the gel carries no shear wave and takes the skin's speed where the kernel reaches over it.
SPEED_M_S = np.array([2.4, 2.4, 1.5, 3.6, 1.65, 4.0, 2.8])
HETEROGENEITY = np.array([0.04, 0.04, 0.05, 0.05, 0.05, 0.05, 0.07])  # SD of the local speed, relative
HETEROGENEITY_MM = (6.0, 4.0, 5.0)
NOISE_SD = 0.04  # of one pixel of the map, relative, at the skin; twice that 40 mm deep
NOISE_MM = (1.5, 0.8, 0.9)
SPEED_RANGE_M_S = (0.5, 10.0)


def _true_speed(spec: ScanSpec, labels: NDArray[np.intp], change: Changes) -> Array:
    """Return the speed of the tissue itself, m/s (z, y, x), before the kernel."""
    factor = np.array(spec.subject.speed) * change.speed
    factor[0] = factor[1]
    speed, contrast = SPEED_M_S * factor, HETEROGENEITY * change.speed_contrast
    local = smooth_field(spec.generator(Stream.SPEED), axes_mm(spec), HETEROGENEITY_MM)
    for picture, label in zip(local, labels, strict=True):
        picture *= contrast[label]
        picture += 1.0
        picture *= speed[label]
    return local


def _holes(spec: ScanSpec, boundaries: Array) -> NDArray[np.bool_]:
    """Return where nothing is measured: the gel and a little skin, below the reach of the push, drop-outs."""
    z, y, x = axes_mm(spec)
    rng = spec.generator(Stream.HOLES)
    reach = rng.uniform(36.5, 42.0)
    rough = smooth_field(rng, (z, y, x), (5.0, 3.0, 4.0))
    depth = np.broadcast_to(y[None, :, None], spec.shape)
    holes: NDArray[np.bool_] = depth < boundaries[0][:, None, :] + 0.3
    holes |= depth + 1.2 * rough > reach
    fraction = rng.uniform(0.02, 0.08)
    drop = smooth_field(rng, (z, y, x), (5.0, 3.0, 4.0)) + 0.35 * (depth - 20.0) / 20.0
    holes |= drop > NormalDist().inv_cdf(1.0 - fraction)
    return holes


def shear_wave(spec: ScanSpec, boundaries: Array, labels: NDArray[np.intp], change: Changes) -> NDArray[np.float32]:
    """Return the speed map, float32 m/s (z, y, x), a multiple of 1 mm/s, NaN where nothing was measured.

    The layers' speed is averaged by an isotropic Gaussian of `spec.swe_kernel_fwhm_mm`, so a thin fascia is mixed with
    what lies beside it. Rounding to 1 mm/s is of a continuous random quantity: the result is the same on every machine.
    """
    speed = _true_speed(spec, labels, change)
    taps = [gaussian_taps(spec.swe_kernel_fwhm_mm, spacing) for spacing in spec.spacing_mm]
    along_y = Blur(taps[1], spec.shape[1], power=1)
    along_x = Blur(taps[2], spec.shape[2], power=1, last=True)
    for picture in speed:
        picture[:] = along_x(along_y(picture))
    speed = blur_pictures(speed, taps[0], power=1)
    axes = axes_mm(spec)
    noise = smooth_field(spec.generator(Stream.SPEED_NOISE), axes, NOISE_MM)
    noise_sd = (NOISE_SD * (1.0 + axes[1] / 40.0))[:, None]
    low, high = SPEED_RANGE_M_S
    out = np.empty(spec.shape, dtype=np.float32)
    for picture, error, target in zip(speed, noise, out, strict=True):
        picture *= 1.0 + noise_sd * error
        target[:] = np.floor(np.clip(picture, low, high) * 1000.0 + 0.5) / 1000.0
    out[_holes(spec, boundaries)] = np.nan
    return out
