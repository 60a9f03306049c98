"""Training and test phantoms as arrays on the models' grids. NumPy only; preprocessing is that of the `prepare` step.

A family is one scan of one subject: the control and, for the training, case twins that differ from it only by one
planted effect in B-mode and one in shear wave. Twins leave no shortcut: anatomy, speckle, gain and holes are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ... import ops
from ...types import LAYERS, Modality
from ..effects import Effect
from ..plan import plan_cohort
from ..render import PhantomScan, render
from ..spec import DEFAULT_SHAPE, ScanSpec

Grid = tuple[int, int, int]
# By spatial dimensions; a 2D model sees the scan's own slices along z, of which a phantom has as many.
CLASSIFIER_GRIDS: dict[int, Grid] = {3: (12, 160, 32), 2: (DEFAULT_SHAPE[0], 160, 32)}
SEGMENTER_GRIDS: dict[int, Grid] = {3: (12, 160, 64), 2: (DEFAULT_SHAPE[0], 160, 64)}
CLASSIFIER_GRID, SEGMENTER_GRID = CLASSIFIER_GRIDS[3], SEGMENTER_GRIDS[3]
WINDOWS: dict[Modality, tuple[float, float]] = {"bmode": (0.0, 255.0), "swe": (0.5, 5.5)}  # grey value, m/s
SWE_MISSING_M_S = 2.2  # between fat and muscle, so that a hole looks like neither stiff muscle nor soft fat

# The mixture: each case twin has one of these effects a modality. Shear wave cannot resolve the fasciae.
BMODE_LAYERS = LAYERS
SWE_LAYERS = ("superficial_fat", "deep_fat", "muscle")
BMODE_DB = (3.0, 7.0)
SWE_RELATIVE = (0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Twin:
    """A case twin: image (2, z, y, x) float32, channels bmode and swe; label values of the planted layers."""

    image: NDArray[np.float32]
    bmode_layer: int
    swe_layer: int
    bmode: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Family:
    """One scan: control image (2, z, y, x) and labels on the classifier's grid, raw picture and labels, twins."""

    subject: str
    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    bmode: NDArray[np.uint8]
    raw_labels: NDArray[np.uint8]
    twins: tuple[Twin, ...]


def model_image(volume: NDArray[np.generic], modality: Modality, grid: Grid) -> NDArray[np.float32]:
    """Volume (z, y, x) -> model input (z, y, x) float32 in [0, 1]: holes filled, antialiased resampling, window."""
    if modality == "swe":
        volume = np.where(np.isnan(volume), np.float32(SWE_MISSING_M_S), volume)
    out = ops.resample(volume, grid, interpolation="linear", antialias=True, window=WINDOWS[modality], dtype="float32")
    return np.asarray(out, dtype=np.float32)


def both_images(scan: PhantomScan, grid: Grid = CLASSIFIER_GRID) -> NDArray[np.float32]:
    """(2, z, y, x) float32 on the classifier's grid: bmode, swe."""
    return np.stack([model_image(scan.bmode, "bmode", grid), model_image(scan.swe, "swe", grid)])


def grid_labels(labels: NDArray[np.uint8], grid: Grid = CLASSIFIER_GRID) -> NDArray[np.uint8]:
    """Labels on the classifier's grid, nearest, as the pipeline makes them."""
    return np.asarray(ops.resample_labels(labels, grid, mode="nearest"), dtype=np.uint8)


def draw_effects(rng: np.random.Generator) -> tuple[Effect, Effect]:
    """One effect of the mixture a modality: layer and size uniform."""
    bmode = Effect(str(rng.choice(BMODE_LAYERS)), "bmode", "mean", float(rng.uniform(*BMODE_DB)))
    swe = Effect(str(rng.choice(SWE_LAYERS)), "swe", "mean", float(rng.uniform(*SWE_RELATIVE)))
    return bmode, swe


def make_family(spec: ScanSpec, rng: np.random.Generator, twins: int, grid: Grid = CLASSIFIER_GRID) -> Family:
    """Render one control and its twins; `grid` is the classifier's."""
    control = render(spec.twin(is_case=False))
    cases = []
    for _ in range(twins):
        effects = draw_effects(rng)
        scan = render(replace(spec.twin(is_case=True), effects=effects))
        cases.append(Twin(both_images(scan, grid), effects[0].label_value, effects[1].label_value, scan.bmode))
    labels = grid_labels(control.labels, grid)
    image = both_images(control, grid)
    return Family(spec.subject.subject_id, image, labels, control.bmode, control.labels, tuple(cases))


def make_families(subjects: int, *, twins: int, seed: int, grid: Grid = CLASSIFIER_GRID) -> Iterator[Family]:
    """`subjects` families of one scan each, in order. Subject identifiers are those of plan_cohort(seed=seed)."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 7])))
    for spec in plan_cohort(subjects=subjects, scans_per_subject=1, seed=seed):
        yield make_family(spec, rng, twins, grid)
