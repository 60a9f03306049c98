"""explain: ModelInput + LayerMask -> Explanation: the prediction, maps, and the values of all layer coalitions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..config import GRADIENT_METHODS, VALUE_METHODS
from ..engines import run_padded
from ..errors import ModelError, StepFailure
from ..models import ModelPackage
from ..models.fill import fill_image
from ..types import LayerMask
from .coalitions import coalition_logits, model_labels
from .compiled import gradient_batch, gradient_megabytes
from .lane import Lane
from .maps import AttributionMap, GradientGraph, cam_methods, class_activation_maps, gradient_maps
from .prepare import ModelInput


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one classifier says of one scan.

    logits: (classes,). maps: by method. coalition_logits: by fill (128, classes), empty if no method
    needs them. donor: sha256 of the scan that the fill `donor` took layers from.
    """

    package: ModelPackage
    logits: NDArray[np.float32]
    maps: dict[str, AttributionMap] = field(default_factory=dict)
    coalition_logits: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    donor: str = ""


def explain(items: list[tuple[ModelInput, LayerMask]], lane: Lane, package: ModelPackage) -> list[Explanation]:
    """Classify and explain a batch of scans with one classifier. Every engine call has a fixed batch size."""
    if package.manifest.spatial_dims == 2:  # a scan's slices are a batch already, and scans differ in their number
        return [one for item in items for one in _explain([item], lane, package, 1)]
    return _explain(items, lane, package, lane.config.scan_batch)


def _explain(
    items: list[tuple[ModelInput, LayerMask]], lane: Lane, package: ModelPackage, batch: int
) -> list[Explanation]:
    methods = lane.config.methods
    images = np.stack([model_input.image for model_input, _ in items])
    found: list[dict[str, AttributionMap]] = [{} for _ in items]
    logits = None
    for method in cam_methods(methods):
        with lane.times.stage(f"explain.{method}"):
            logits, cams = class_activation_maps(images, lane, package, method, batch)
        for maps, cam in zip(found, cams, strict=True):
            maps[method] = cam
    if logits is None:
        with lane.times.stage("explain.forward"):
            logits = _predict(images, lane, package, batch)
    _check_finite(logits)
    results = []
    for (model_input, mask), own_logits, maps in zip(items, logits, found, strict=True):
        if any(method in methods for method in GRADIENT_METHODS):
            with lane.times.stage("explain.gradients"):
                maps |= _gradients(model_input.image, mask, lane, package)
        wants_values = any(method in methods for method in VALUE_METHODS)
        values = coalition_logits(model_input, mask, lane, package) if wants_values else {}
        donor = model_input.donor.sha256 if model_input.donor is not None else ""
        results.append(Explanation(package, own_logits, maps, values, donor))
    return results


def _predict(images: NDArray[np.float32], lane: Lane, package: ModelPackage, batch: int) -> NDArray[np.float32]:
    manifest = package.manifest
    (logits,) = run_padded(lane.forward(package), {manifest.input: images}, (manifest.output,), batch)
    return lane.place.take(logits)


def _gradients(
    image: NDArray[np.float32], mask: LayerMask, lane: Lane, package: ModelPackage
) -> dict[str, AttributionMap]:
    config, manifest = lane.config, package.manifest
    slices = image.shape[1 + "zyx".index(manifest.slice_axis)] if manifest.slice_axis else 1
    size = gradient_batch(package, config.gradient_memory_mb, slices)
    if size == 0:
        raise StepFailure(
            "gradient_memory", f"gradients of {slices} slices at once need about {gradient_megabytes(package, slices)} "
            f"MB, gradient_memory_mb is {config.gradient_memory_mb}", input_at_fault=False,
        )  # fmt: skip
    graph = GradientGraph(lane.explaining(package, "gradient"), manifest.input, size)

    def predict(images: NDArray[np.float32]) -> NDArray[np.float64]:
        return package.target_values(_predict(images, lane, package, len(images)), config.target)

    baseline = _baseline(image, mask, lane, package)
    return gradient_maps(image, config.methods, graph, config, baseline, predict, lane.place.put)


def _baseline(
    image: NDArray[np.float32], mask: LayerMask, lane: Lane, package: ModelPackage
) -> NDArray[np.float32]:
    """Where the path of integrated gradients starts, in model-input units."""
    if "integrated_gradients" not in lane.config.methods or lane.config.ig_baseline == "zero":
        return np.zeros_like(image)
    if package.fill_profile is None:
        raise ModelError(f"{package.path}: the baseline cohort_profile needs a fill profile, the package has none")
    labels = model_labels(mask, image.shape[1:], lane)
    profile = lane.constant(f"profile {package.sha256}", package.fill_profile)
    return fill_image(labels, profile, package.manifest.depth_axis)


def _check_finite(values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise StepFailure("classifier_nonfinite", "the classifier gave NaN or Inf", input_at_fault=False)
