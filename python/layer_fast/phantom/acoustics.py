"""How tissue becomes a B-mode picture: scatterers, point-spread function, attenuation, noise, log compression.

All of it in float64. Levels are dB of echo power; 0 dB is the white end of the 60 dB grey scale.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from layer_fast.phantom.anatomy import axes_mm, waves
from layer_fast.phantom.effects import Changes
from layer_fast.phantom.fields import Blur, blur_pictures, gaussian_taps, profile_lookup, sharp_lines, smooth_field
from layer_fast.phantom.spec import ScanSpec, Stream

Array = NDArray[np.float64]
Lines = tuple[Array, Array, Array]

DYNAMIC_RANGE_DB = 60.0
# By label value: gel, dermis, superficial fat, superficial fascia, deep fat, deep fascia, muscle.
LEVEL_DB = np.array([-66.0, -17.0, -40.0, -20.0, -41.5, -19.0, -38.0])
CONTRAST_DB = np.array([0.0, 1.4, 2.2, 1.2, 2.2, 1.2, 2.5])  # SD of the local scatterer strength
SPECULAR_DB = {3: -24.0, 5: -20.0}  # mirror-like part of the two fasciae
SEPTA_DB, FIBRE_DB = -28.5, -28.5  # coherent lines inside fat and muscle, at full strength
PSF_AXIAL_MM, PSF_ELEVATIONAL_MM = 0.35, 2.0
PSF_LATERAL_MM = (0.8, 1.25)  # at the face, and 40 mm deep
NOISE_DB = (-58.0, -50.0)  # receiver noise at the face and at the lower edge, after the gain curve
_LN10_20 = math.log(10.0) / 20.0
TEXTURE_MM = (3.0, 0.9, 1.5)  # knot spacing of the local scatterer strength


def _rows(spec: ScanSpec, top: Array, bottom: Array) -> slice:
    """Return the rows of the picture that lie, at least partly, between two surfaces (mm)."""
    dy, ny = spec.spacing_mm[1], spec.shape[1]
    first = math.floor(float(top.min()) / dy)
    return slice(min(max(first, 0), ny), min(math.ceil(float(bottom.max()) / dy) + 1, ny))


def _septa(spec: ScanSpec, boundaries: Array, rows: slice, rng: np.random.Generator) -> Lines:
    """Return thin, wavy, broken bright lines for the fat: height offset (z, x), gate (z, rows, x), profile."""
    z, y, x = axes_mm(spec)
    wave = 1.5 * waves(rng, z, x, 9.0, 30.0) - 0.4 * boundaries[2]
    gate = smooth_field(rng, (z, y, x), (6.0, 1.6, 5.0), rows)
    gate *= 0.6
    gate += 0.2
    return wave, gate, sharp_lines(rng, spacing_mm=2.4, width_mm=0.20)


def _fibres(spec: ScanSpec, boundaries: Array, rows: slice, rng: np.random.Generator) -> Lines:
    """Return the pennate bright lines between the bundles of the muscle, like `_septa`."""
    z, y, x = axes_mm(spec)
    angle = math.radians(spec.subject.pennation_deg) * (1.0 if spec.side == "left" else -1.0)
    wave = 0.4 * waves(rng, z, x, 12.0, 40.0) + 0.02 * z[:, None] - 0.5 * boundaries[5]
    wave += math.tan(angle) * x[None, :]
    gate = smooth_field(rng, (z, y, x), (9.0, 2.5, 6.0), rows)
    gate *= 0.3
    gate += 0.5
    return wave, gate, sharp_lines(rng, spacing_mm=1.9, width_mm=0.22)


def _add_inner_lines(spec: ScanSpec, boundaries: Array, labels: NDArray[np.intp], level: Array, out: Array) -> None:
    """Add the coherent amplitude (z, y, x) of septa in the fat and of fibre lines in the muscle, in place."""
    y = axes_mm(spec)[1]
    lower_edge = np.full_like(boundaries[5], spec.shape[1] * spec.spacing_mm[1])
    for lines, stream, db, top, bottom, where in (
        (_septa, Stream.SEPTA, SEPTA_DB, boundaries[1], boundaries[4], [2, 4]),
        (_fibres, Stream.FIBRES, FIBRE_DB, boundaries[5], lower_edge, [6]),
    ):
        amplitude = np.zeros(7)
        amplitude[where] = 10.0 ** ((db + level[where]) / 20.0)
        rows = _rows(spec, top, bottom)
        offset, gates, profile = lines(spec, boundaries, rows, spec.generator(stream))
        for picture, label, shift, gate in zip(out, labels, offset, gates, strict=True):
            strength = profile_lookup(y[rows], shift, profile)
            strength *= np.maximum(gate, 0.0)
            strength *= amplitude[label[rows]]
            picture[rows] += strength


def _add_mirrors(spec: ScanSpec, boundaries: Array, level: Array, out: Array) -> None:
    """Add the coherent amplitude of the fasciae, the skin's entry echo and the reverberation in the gel, in place.

    A fascia turned away from the beam sends less back: -0.03 dB per degree squared. Its voxels weigh by the part of
    their height that it fills, so a sub-voxel membrane is a smooth line and no staircase.
    """
    z, y, x = axes_mm(spec)
    half = 0.5 * spec.spacing_mm[1]
    for k, db in SPECULAR_DB.items():
        top, bottom = boundaries[k - 1], boundaries[k]
        slope_z, slope_x = np.gradient(top, z, x)
        tilt2 = np.degrees(np.arctan(np.hypot(slope_x, slope_z))) ** 2
        strength = 10.0 ** ((db + level[k] - 0.03 * np.minimum(tilt2, 200.0)) / 20.0) / (2.0 * half)
        rows = _rows(spec, top, bottom)
        centre = y[None, rows, None]
        inside = np.minimum(bottom[:, None], centre + half) - np.maximum(top[:, None], centre - half)
        out[:, rows] += np.maximum(inside, 0.0) * strength[:, None]
    skin = boundaries[0]
    for depth, width, db in ((skin, 0.16, -19.0), (0.5 * skin, 0.12, -48.0), (0.0 * skin, 0.25, -34.0)):
        rows = _rows(spec, depth, depth + 6.0 * width)
        distance = (y[None, rows, None] - depth[:, None] - width) / width
        out[:, rows] += 10.0 ** (db / 20.0) * np.exp(-0.5 * distance**2)


def _beam(spec: ScanSpec, field: Array) -> Array:
    """Blur (z, 2, y, x) by the separable point-spread function, unit energy, wider laterally with depth."""
    dz, dy, dx = spec.spacing_mm
    nz, ny, nx = spec.shape
    lateral = PSF_LATERAL_MM[0] + (PSF_LATERAL_MM[1] - PSF_LATERAL_MM[0]) * axes_mm(spec)[1] / 40.0
    axial = Blur(gaussian_taps(PSF_AXIAL_MM, dy), ny, power=2)
    sideways = Blur(gaussian_taps(lateral[:, None], dx), nx, power=2, last=True)
    for picture in field.reshape(2 * nz, ny, nx):
        picture[:] = sideways(axial(picture))
    return blur_pictures(field, gaussian_taps(PSF_ELEVATIONAL_MM, dz), power=2)


def _gain(spec: ScanSpec, boundaries: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return what attenuation, an imperfect gain curve, the focus and the contact leave: amplitude by depth (y, 1) and
    by column (z, 1, x). Attenuation counts from the skin."""
    z, y, x = axes_mm(spec)
    slope = spec.subject.attenuation_db_per_mm
    curve = 2.5 * np.exp(-0.5 * ((y - 15.0) / 8.0) ** 2) + 0.6 * np.sin(2 * np.pi * (y / 17.0 + rng.uniform()))
    column = spec.gain_db + slope * boundaries[0] + 0.7 * waves(rng, z, x, 8.0, 40.0)
    return np.exp(_LN10_20 * (curve - slope * y))[:, None], np.exp(_LN10_20 * column)[:, None, :]


def _echo(spec: ScanSpec, boundaries: Array, labels: NDArray[np.intp], change: Changes) -> Array:
    """Return the complex echo before the beam, (z, 2, y, x): random scatterers in layers, plus coherent lines."""
    deviation = np.array(spec.subject.echo_db) + np.array(spec.echo_db) + change.echo_db
    level = _LN10_20 * (LEVEL_DB + deviation) + 0.5 * math.log(0.5)
    contrast = _LN10_20 * CONTRAST_DB * change.echo_contrast
    texture = smooth_field(spec.generator(Stream.TEXTURE), axes_mm(spec), TEXTURE_MM)
    field = spec.generator(Stream.SPECKLE).standard_normal((spec.shape[0], 2, *spec.shape[1:]))
    for picture, local, label in zip(field, texture, labels, strict=True):
        local *= contrast[label]
        local += level[label]
        picture *= np.exp(local, out=local)
    coherent = np.zeros(spec.shape)
    _add_inner_lines(spec, boundaries, labels, deviation, coherent)
    _add_mirrors(spec, boundaries, deviation, coherent)
    field[:, 0] += coherent
    return field


def bmode(spec: ScanSpec, boundaries: Array, labels: NDArray[np.intp], change: Changes) -> NDArray[np.uint8]:
    """Return the log-compressed picture, uint8 (z, y, x): 255 is 0 dB, 0 is -60 dB and below.

    The grey value is floor(value + 1/2) of a continuous random quantity: a tie has no probability, so a last-bit
    difference of log or exp between machines does not reach the result. Done picture by picture, to stay in the cache.
    """
    field = _beam(spec, _echo(spec, boundaries, labels, change))
    rng = spec.generator(Stream.NOISE)
    depth, column = _gain(spec, boundaries, rng)
    y = axes_mm(spec)[1]
    floor_db = NOISE_DB[0] + (NOISE_DB[1] - NOISE_DB[0]) * y / y[-1]
    noise_amplitude = (math.sqrt(0.5) * np.exp(_LN10_20 * floor_db))[:, None]
    out = np.empty(spec.shape, dtype=np.uint8)
    for picture, gain, grey in zip(field, column, out, strict=True):
        picture *= depth
        picture *= gain
        picture += noise_amplitude * rng.standard_normal(picture.shape)
        picture *= picture
        value = np.log(picture[0] + picture[1])
        value *= (10.0 / math.log(10.0)) * (255.0 / DYNAMIC_RANGE_DB)
        value += 255.0 + 0.5
        grey[:] = np.clip(np.floor(value), 0.0, 255.0)
    return out
