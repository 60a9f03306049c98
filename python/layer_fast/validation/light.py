"""Small layered cohorts made of numbers, whole cohorts at once: planted truth where thousands of cohorts are needed.

Not a picture of ultrasound (that is `layer_fast.phantom`): seven bands along depth with thicknesses of a person and
wavy borders, each filled with a level, a deviation of the person and voxel noise. The shear-wave channel is blurred
along depth by 1.5 mm, so that a thin layer is mixed with its neighbours. Every subject has one scan.

Two styles. "speckle": levels of neighbouring tissue overlap by noise, as a network that is trained must cope with.
"coded": every layer keeps to grey values of its own, whatever its content, so that a network made by hand can find the
layer by its code and read its content exactly (`readers`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..types import REGIONS, Scan, ScanRef, Volume

Float = NDArray[np.float64]
Shifts = dict[tuple[str, str], float]  # (modality, layer) -> cases less controls, in SD over subjects

GRID = (2, 64, 8)  # (z, y, x)
SPACING_MM = (1.5, 0.5, 0.6)
MODALITIES = ("bmode", "swe")
WINDOWS = {"bmode": (0.0, 255.0), "swe": (0.0, 8.0)}  # grey values, m/s
THICKNESS_MM = np.array([2.0, 2.2, 5.5, 0.9, 5.4, 1.1])  # coupling layer, then the layers above the muscle
THICKNESS_SD = 0.12  # log-normal, over subjects
WAVE_MM = 0.6
SWE_FWHM_MM = 1.5
CODE_STEP = 1.0 / len(REGIONS)  # "coded": label k keeps to (k + 1/2 +- 0.43) / 7 of the window
CODE_ROOM = 0.43 * CODE_STEP
_TISSUE = np.array([[0.05, 0.55, 0.22, 0.80, 0.28, 0.75, 0.42], [0.30, 0.30, 0.19, 0.45, 0.21, 0.50, 0.35]])
_PERSON_SD = np.array([0.03, 0.025])  # SD over subjects of a layer's level, parts of the window, by modality
_NOISE_SD = np.array([0.05, 0.03])  # SD over voxels
_CODED_PERSON_SD, _CODED_NOISE_SD = 0.008, 0.012
TEXTURE_STEP = 0.15  # log of the voxel noise's SD per SD of a subject's texture


@dataclass(frozen=True)
class Design:
    """What differs between the classes. mean, texture: content of a layer by modality; thickness: geometry (the key's
    modality is ""), in SD over subjects. shared: the modalities hold one deviation of a person instead of two."""

    mean: Shifts = field(default_factory=dict)
    texture: Shifts = field(default_factory=dict)
    thickness: Shifts = field(default_factory=dict)
    style: str = "speckle"
    shared: bool = False


@dataclass(frozen=True)
class Cohort:
    """n subjects, one scan each. bmode uint8, swe float32 m/s, labels uint8, each (n, z, y, x); is_case (n,).

    mean, texture (n, modality, label), thickness (n, label): the planted quantities, in SD over subjects."""

    names: tuple[str, ...]
    is_case: NDArray[np.bool_]
    volumes: dict[str, NDArray[np.uint8] | NDArray[np.float32]]
    labels: NDArray[np.uint8]
    mean: Float
    texture: Float
    thickness: Float

    def label(self, i: int) -> str:
        return "case" if self.is_case[i] else "control"

    def scan(self, i: int) -> Scan:
        """Subject i's scan with its true mask, as the pipeline takes it."""
        affine = np.diag([*SPACING_MM, 1.0])
        volumes = {m: Volume(self.volumes[m][i], affine, SPACING_MM, m) for m in MODALITIES}  # type: ignore[arg-type]
        mask = Volume(self.labels[i], affine, SPACING_MM, "labels")
        return Scan(ScanRef(self.names[i], self.names[i], label=self.label(i)), volumes, {"manual": mask}, {})


def draw(design: Design, subjects: int, seed: int) -> Cohort:
    """A cohort, half of it cases; the same for the same design, number and seed. The first m subjects of a larger
    cohort are no smaller cohort of the same seed. Raises ValueError for fewer than two subjects."""
    if subjects < 2:
        raise ValueError(f"[draw] expected 2 subjects or more, got {subjects}")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, subjects])))
    is_case = np.arange(subjects) % 2 == 1
    size = (subjects, len(MODALITIES), len(REGIONS))
    mean, texture, thickness = rng.standard_normal(size), rng.standard_normal(size), rng.standard_normal(size[::2])
    if design.shared:
        mean[:, 1], texture[:, 1] = mean[:, 0], texture[:, 0]
    for quantity, shifts in ((mean, design.mean), (texture, design.texture)):
        for (modality, layer), size_sd in shifts.items():
            quantity[is_case, MODALITIES.index(modality), REGIONS.index(layer)] += size_sd
    for (_, layer), size_sd in design.thickness.items():
        thickness[is_case, REGIONS.index(layer)] += size_sd
    labels = _labels(thickness, rng)
    volumes = {m: _volume(i, labels, mean, texture, design.style, rng) for i, m in enumerate(MODALITIES)}
    names = tuple(f"v{seed}-{i:03d}" for i in range(subjects))
    return Cohort(names, is_case, volumes, labels, mean, texture, thickness)


def _labels(thickness: Float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(n, z, y, x): label by depth. No layer is thinner than a voxel and a bit, so each is in every scan."""
    nz, ny, nx = GRID
    mm = THICKNESS_MM * np.exp(THICKNESS_SD * thickness[:, : len(THICKNESS_MM)])
    border = np.cumsum(np.maximum(mm, 1.1 * SPACING_MM[1]), axis=1)
    turn = rng.uniform(0.0, 2.0 * np.pi, (len(mm), nz, 1))
    wave = 0.5 * WAVE_MM * np.sin(2.0 * np.pi * np.arange(nx) / nx + turn)  # (n, z, x): all borders rise together
    depth = (np.arange(ny) + 0.5) * SPACING_MM[1]
    above = depth[None, None, :, None] + wave[:, :, None, :]
    out = np.zeros((len(mm), *GRID), np.uint8)
    for j in range(border.shape[1]):
        out += above >= border[:, j, None, None, None]
    return out


def _volume(
    i: int, labels: NDArray[np.uint8], mean: Float, texture: Float, style: str, rng: np.random.Generator
) -> NDArray[np.uint8] | NDArray[np.float32]:
    coded = style == "coded"
    n = np.arange(len(labels))[:, None, None, None]
    centre = (np.arange(len(REGIONS)) + 0.5) * CODE_STEP if coded else _TISSUE[i]
    person, noise = (_CODED_PERSON_SD, _CODED_NOISE_SD) if coded else (_PERSON_SD[i], _NOISE_SD[i])
    out = person * mean[n, i, labels]
    out += noise * np.exp(TEXTURE_STEP * texture[n, i, labels]) * rng.standard_normal(labels.shape)
    out = np.clip(out, -CODE_ROOM, CODE_ROOM) if coded else out
    out += centre[labels]
    if MODALITIES[i] == "swe" and not coded:
        out = np.einsum("dy,nzyx->nzdx", _kernel(), out, optimize=True)
    low, high = WINDOWS[MODALITIES[i]]
    value = low + np.clip(out, 0.0, 1.0) * (high - low)
    if MODALITIES[i] == "bmode":
        return np.asarray(np.floor(value + 0.5), np.uint8)
    return np.asarray(value, np.float32)


def _kernel() -> Float:
    """(y, y): mean over depth with Gaussian weights, rows sum to 1."""
    y = np.arange(GRID[1]) * SPACING_MM[1]
    sigma = SWE_FWHM_MM / np.sqrt(8.0 * np.log(2.0))
    weight = np.exp(-0.5 * ((y[:, None] - y[None, :]) / sigma) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
