"""Subjects, and the wavy surfaces between their layers. Lengths in mm, depth from the transducer face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layer_fast.phantom.effects import changes
from layer_fast.phantom.spec import ScanSpec, Stream, Subject, generator
from layer_fast.types import NUM_LAYERS

Array = NDArray[np.float64]

# By label value: local thickness varies by this fraction of the mean, at most.
_WAVINESS = np.array([0.25, 0.14, 0.24, 0.22, 0.24, 0.20])
_WAVE_WEIGHTS = np.array([0.40, 0.28, 0.20, 0.12])
_PRESSED = (0.0, 0.2, 1.0, 0.3, 1.0, 0.2)  # share of the probe pressure each layer gives way to
ECHO_SUBJECT_SD_DB = 1.0
SPEED_SUBJECT_SD = 0.06


def draw_subject(seed: int, index: int, *, is_case: bool = False) -> Subject:
    """Return subject `index` of `seed`: anatomy and acoustics, none of which depends on `is_case`.

    BMI carries the fat thickness, age a little muscle echo (+0.04 dB a year), sex a little skin and fat.
    """
    rng = generator(seed, index, 0, Stream.SUBJECT)
    age = int(rng.integers(20, 71))
    female = bool(rng.integers(0, 2))
    bmi = float(np.clip(rng.normal(26.5, 4.2), 18.0, 40.0))
    z = rng.standard_normal(6)
    fat = 0.26 * (bmi - 26.5) + (0.4 if female else -0.4)
    thickness = (
        float(np.clip(2.2 + 0.4 * z[0], 1.5, 3.2)),
        float(np.clip(2.0 + 0.18 * z[1] - (0.1 if female else -0.1), 1.6, 2.4)),
        float(np.clip(5.6 + fat + 1.0 * z[2], 3.4, 9.0)),
        float(np.clip(0.55 + 0.09 * z[3], 0.35, 0.72)),
        float(np.clip(5.4 + 0.8 * fat + 1.1 * z[4], 3.4, 9.0)),
        float(np.clip(0.70 + 0.10 * z[5], 0.48, 0.90)),
        0.0,
    )
    echo = ECHO_SUBJECT_SD_DB * rng.standard_normal(NUM_LAYERS + 1)
    echo[6] += 0.04 * (age - 45)
    speed = np.exp(SPEED_SUBJECT_SD * rng.standard_normal(NUM_LAYERS + 1))
    attenuation = float(np.clip(rng.normal(0.20, 0.03), 0.10, 0.30))
    pennation = float(np.clip(rng.normal(9.0, 3.0), 2.0, 17.0))
    return Subject(
        seed=seed,
        index=index,
        is_case=is_case,
        age=age,
        sex="F" if female else "M",
        bmi=round(bmi, 1),
        thickness_mm=thickness,
        echo_db=tuple(float(v) for v in echo),
        speed=tuple(float(v) for v in speed),
        attenuation_db_per_mm=attenuation,
        pennation_deg=pennation,
    )


def axes_mm(spec: ScanSpec) -> tuple[Array, Array, Array]:
    """Return the voxel centres along z and x (zero in the middle) and along y (zero at the transducer face), mm."""
    (nz, ny, nx), (dz, dy, dx) = spec.shape, spec.spacing_mm
    return (
        (np.arange(nz, dtype=np.float64) - (nz - 1) / 2.0) * dz,
        (np.arange(ny, dtype=np.float64) + 0.5) * dy,
        (np.arange(nx, dtype=np.float64) - (nx - 1) / 2.0) * dx,
    )


def waves(rng: np.random.Generator, z: Array, x: Array, shortest_mm: float = 14.0, longest_mm: float = 70.0) -> Array:
    """Return a smooth field (z, x) within [-1, 1]: four plane waves of random length, direction and phase."""
    out = np.zeros((z.size, x.size))
    for weight in _WAVE_WEIGHTS:
        length, angle, phase = rng.uniform(shortest_mm, longest_mm), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        k = 2 * np.pi / length
        out += weight * np.sin(k * (np.cos(angle) * x[None, :] + np.sin(angle) * z[:, None]) + phase)
    return out


def boundaries_mm(spec: ScanSpec) -> Array:
    """Return the top of layers 1..6, (6, z, x), mm from the transducer face; rows increase strictly."""
    z, _, x = axes_mm(spec)
    rng = spec.generator(Stream.SURFACE)
    effect = changes(spec.effects, spec.is_case).thickness
    mirror = 1.0 if spec.side == "left" else -1.0  # the same person's other side is its mirror image, roughly
    thickness = np.empty((6, z.size, x.size))
    for k in range(6):
        mean = spec.subject.thickness_mm[k] * effect[k]
        mean *= 1.0 + (spec.pressure - 1.0) * _PRESSED[k]
        tilt = rng.normal(0.0, 0.10) * (mirror * x[None, :] / 40.0)
        thickness[k] = mean * (1.0 + _WAVINESS[k] * waves(rng, z, x) + tilt)
    # A strip of coupling gel is always there, however coarse the voxels.
    thickness[0] = np.maximum(thickness[0], 1.6 * spec.spacing_mm[1])
    return np.cumsum(thickness, axis=0)


def label_volume(boundaries: Array, spec: ScanSpec) -> NDArray[np.uint8]:
    """Return the labels (z, y, x), 0..6: the layer in which the voxel's centre lies.

    A layer at least half a voxel thick keeps one voxel where no centre falls inside it (then what lies below starts
    one voxel later), so that a fascia does not tear.
    """
    ny, dy = spec.shape[1], spec.spacing_mm[1]
    start = np.ceil(boundaries / dy - 0.5).astype(np.int64)
    for k in range(5):
        needed = (boundaries[k + 1] - boundaries[k] >= 0.5 * dy).astype(np.int64)
        start[k + 1] = np.maximum(start[k + 1], start[k] + needed)
    row = np.arange(ny, dtype=np.int32)[None, :, None]
    labels = np.zeros(spec.shape, dtype=np.uint8)
    for top in start.astype(np.int32):
        labels += row >= top[:, None, :]
    return labels


def mean_thickness_mm(boundaries: Array, spec: ScanSpec) -> tuple[float, ...]:
    """Return the mean thickness of layers 1..6 in mm, the muscle cut at the lower edge of the picture."""
    bottom = np.full((1, *boundaries.shape[1:]), spec.shape[1] * spec.spacing_mm[1])
    return tuple(float(v) for v in np.diff(np.concatenate([boundaries, bottom]), axis=0).mean(axis=(1, 2)))
