"""Guards on maps of the reference classifiers: parameter randomisation, and maps that were turned over."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import onnx
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude

from .. import ops
from ..config import RunConfig
from ..elsewhere.inverted import inversion
from ..guards import randomisation
from ..guards.package_maps import map_function
from ..models import ModelPackage, Models, load_models
from ..phantom.effects import Effect
from ..phantom.plan import plan_cohort
from ..phantom.render import render
from ..phantom.spec import DEFAULT_SHAPE
from ..steps.compiled import Graphs
from ..steps.lane import Lane
from ..steps.prepare import Shared, prepare
from ..types import Scan, ScanRef, Volume

Map = NDArray[np.float32]
SETUPS = ("bmode", "swe", "both")
SOUND = ("gradcam", "hirescam", "gradient", "input_x_gradient")
BLIND = ("intensity", "edges", "edges_with_a_tenth_of_gradient")


def randomisation_fires(kind: str, setup: str, seed: int) -> bool:
    """Whether the guard calls a map independent of the model. kind: a method of a run, or one that is blind."""
    package = _models().classifiers[setup][0]
    images = _images(setup, seed)
    return randomisation(package.model, _maps_of(kind, package, images), stages=1, seed=seed).fires


def inversion_fires(setup: str, turned: bool, seed: int, index: int) -> bool:
    """Whether a Grad-CAM on the scan's grid, as users save it, is called upside down; turned: by MONAI's default
    normaliser, which maps (min, max) to (1, 0)."""
    full = np.asarray(ops.resample(_cams(setup, seed)[index], DEFAULT_SHAPE), np.float64)
    low, high = full.min(), full.max()
    scaled = (full - low) / (high - low) if high > low else full
    return inversion(1.0 - scaled if turned else scaled).fires


def _maps_of(kind: str, package: ModelPackage, images: list[Map]) -> Callable[[onnx.ModelProto], list[Map]]:
    if kind in SOUND:
        method = map_function(package, images, method=kind)
        return lambda model: list(method(model))
    edges = [np.asarray(gaussian_gradient_magnitude(image[0], 1.0), np.float32) for image in images]
    if kind == "intensity":
        return lambda model: [image[0] for image in images]
    if kind == "edges":
        return lambda model: edges
    gradient = map_function(package, images, method="gradient")

    def mixed(model: onnx.ModelProto) -> list[Map]:
        return [e / e.std() + np.float32(0.1) * g / g.std() for e, g in zip(edges, gradient(model), strict=True)]

    return mixed


@lru_cache(maxsize=1)
def _models() -> Models:
    return load_models("reference")


@lru_cache(maxsize=8)
def _cams(setup: str, seed: int) -> list[Map]:
    package = _models().classifiers[setup][0]
    return list(map_function(package, _images(setup, seed))(package.model))


@lru_cache(maxsize=8)
def _images(setup: str, seed: int) -> list[Map]:
    """The classifier's inputs for four phantom scans of four subjects, two of them cases."""
    effects = (Effect("deep_fat", "bmode", "mean", 5.0),)
    lane = Lane("onnxruntime", RunConfig(), 1, Graphs("margin"))
    package = _models().classifiers[setup][0]
    out = []
    for spec in plan_cohort(subjects=4, scans_per_subject=1, effects=effects, seed=seed):
        found = render(spec)
        volumes = {
            "bmode": Volume(found.bmode, found.affine, found.spacing_mm, "bmode"),
            "swe": Volume(found.swe, found.affine, found.spacing_mm, "swe"),
        }
        scan = Scan(ScanRef(spec.scan_id, spec.subject.subject_id), volumes, {}, {})
        out.append(prepare([(scan, Shared())], lane, package, RunConfig().fov_tolerance)[0].image)
    return out
