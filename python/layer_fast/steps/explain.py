"""explain: ModelInput + LayerMask -> Explanation: the prediction, maps, and the values of all layer coalitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..engines import run_padded
from ..errors import ModelError, StepFailure
from ..models import ModelPackage
from ..models.fill import fill_image
from ..types import REGIONS, LayerMask
from .lane import Lane
from .prepare import ModelInput

NUM_PLAYERS = len(REGIONS)  # the background is a player too
# Row n keeps the own content of player k where bit k of n is set.
COALITIONS: NDArray[np.bool_] = (np.arange(2**NUM_PLAYERS)[:, None] >> np.arange(NUM_PLAYERS) & 1).astype(bool)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one classifier says of one scan.

    logits: (classes,). maps: method -> float32 (mz, my, mx) on the activation's grid, which spans the same field
    of view as the scan. coalition_logits: (128, classes), or None if no method needs them.
    """

    package: ModelPackage
    logits: NDArray[np.float32]
    maps: dict[str, NDArray[np.float32]]
    coalition_logits: NDArray[np.float32] | None


def explain(
    items: list[tuple[ModelInput, LayerMask]], lane: Lane, package: ModelPackage, methods: tuple[str, ...]
) -> list[Explanation]:
    """Classify and explain a batch of scans with one classifier. Every engine call has a fixed batch size."""
    with lane.times.stage("explain.gradcam"):
        logits, cams = _predict(items, lane, package, "gradcam" in methods)
    wants_values = "layer_shapley" in methods or "layer_ablation" in methods
    results = []
    for (model_input, mask), own_logits, cam in zip(items, logits, cams, strict=True):
        maps = {} if cam is None else {"gradcam": np.maximum(cam, 0.0)}
        values = coalition_logits(model_input, mask, lane, package) if wants_values else None
        results.append(Explanation(package, own_logits, maps, values))
    return results


def _predict(
    items: list[tuple[ModelInput, LayerMask]], lane: Lane, package: ModelPackage, wants_cam: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32] | list[None]]:
    manifest = package.manifest
    images = np.stack([model_input.image for model_input, _ in items])
    feeds = {manifest.input: images}
    if not wants_cam:
        (logits,) = run_padded(lane.forward(package), feeds, (manifest.output,), lane.scan_batch)
        _check_finite(logits)
        return logits, [None] * len(items)
    feeds["cotangent"] = np.tile(package.target_weights(), (len(items), 1))
    logits, cams = run_padded(lane.with_cam(package), feeds, (manifest.output, "cam"), lane.scan_batch)
    _check_finite(logits)
    _check_finite(cams)
    return logits, cams


def _check_finite(values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise StepFailure("classifier_nonfinite", "the classifier gave NaN or Inf", input_at_fault=False)


def _profile(package: ModelPackage) -> NDArray[np.float32]:
    if package.fill_profile is None:
        raise ModelError(f"{package.path}: expected a fill profile, found none")
    return package.fill_profile


def coalition_logits(
    model_input: ModelInput, mask: LayerMask, lane: Lane, package: ModelPackage
) -> NDArray[np.float32]:
    """(128, classes): the classifier's logits for every set of layers that keep their own content.

    The content of the others is the cohort profile: the training subjects' mean at the same relative depth
    of the same layer. Row 127 is the scan itself, row 0 the geometry alone.
    """
    manifest = package.manifest
    labels = ops.resample_labels(mask.labels, tuple(manifest.grid), mode="nearest", threads=lane.op_threads)
    fill = fill_image(labels, _profile(package), manifest.depth_axis)
    engine, size = lane.forward(package), lane.coalition_batch
    parts = []
    for start in range(0, len(COALITIONS), size):
        chunk = COALITIONS[start : start + size]
        with lane.times.stage("explain.compose"):
            composed = lane.buffer("composed", (len(chunk), *model_input.image.shape))
            ops.layer_compose(
                model_input.image, labels, chunk, fill_values=fill, out=composed, threads=lane.op_threads
            )
        with lane.times.stage("explain.coalitions"):
            parts.append(run_padded(engine, {manifest.input: composed}, (manifest.output,), size)[0])
    values = np.concatenate(parts)
    if not np.isfinite(values).all():
        raise StepFailure("coalition_nonfinite", "a composed input gave NaN or Inf", input_at_fault=False)
    return values
