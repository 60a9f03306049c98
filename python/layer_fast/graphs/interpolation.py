"""Interpolation of Resize as a matrix per axis (operator definition of ONNX, opset 13 to 21)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FloatArray = np.ndarray


@dataclass(frozen=True)
class Sampling:
    """How Resize maps output positions to input positions and weighs the neighbours."""

    mode: str
    coordinates: str
    rounding: str = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False


def positions(s: Sampling, length: int, count: int, scale: float) -> FloatArray:
    """Input coordinate of each of the `count` outputs, in float32 as the engines compute it."""
    i = np.arange(count, dtype=np.float32)
    f = np.float32(scale)
    if s.coordinates == "asymmetric":
        return i / f
    if s.coordinates == "align_corners":
        return i * np.float32((length - 1) / (count - 1)) if count > 1 else np.zeros(count, np.float32)
    if s.coordinates == "pytorch_half_pixel" and count == 1:
        return np.zeros(1, np.float32)
    if s.coordinates == "half_pixel_symmetric":
        adjustment = np.float32(count) / (f * np.float32(length))
        offset = np.float32(length) / 2 * (1 - adjustment)
        return offset + (i + np.float32(0.5)) / f - np.float32(0.5)
    return (i + np.float32(0.5)) / f - np.float32(0.5)


def matrix(s: Sampling, length: int, count: int, scale: float) -> FloatArray:
    """(count, length) float64: output = matrix @ input along one axis."""
    x = positions(s, length, count, scale)
    rows = np.zeros((count, length))
    if s.mode == "nearest":
        rows[np.arange(count), np.clip(_rounded(x, s.rounding), 0, length - 1).astype(int)] = 1
        return rows
    stretch = max(1.0, 1.0 / scale) if s.antialias else 1.0
    reach = int(np.ceil((2 if s.mode == "cubic" else 1) * stretch))
    base = np.floor(x.astype(np.float64)).astype(int)
    taps = base[:, None] + np.arange(-reach, reach + 1)[None, :] + (1 if s.mode == "cubic" else 0)
    distance = (taps - x.astype(np.float64)[:, None]) / stretch
    weights = np.maximum(0, 1 - np.abs(distance)) if s.mode == "linear" else _cubic(distance, s.cubic_a)
    inside = (taps >= 0) & (taps < length)
    if s.exclude_outside:
        weights = np.where(inside, weights, 0)
    weights = weights / weights.sum(1, keepdims=True)
    np.add.at(rows, (np.arange(count)[:, None], np.clip(taps, 0, length - 1)), weights)
    return rows


def _rounded(x: FloatArray, rounding: str) -> FloatArray:
    if rounding == "floor":
        return np.asarray(np.floor(x))
    if rounding == "ceil":
        return np.asarray(np.ceil(x))
    return np.asarray(np.ceil(x - 0.5) if rounding == "round_prefer_floor" else np.floor(x + 0.5))


def _cubic(distance: FloatArray, a: float) -> FloatArray:
    """Keys 1981, convolution kernel with free parameter a."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
