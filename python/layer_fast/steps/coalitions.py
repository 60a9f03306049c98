"""The classifier's logits for every set of layers that keep their own content: what Shapley values are made of."""

from __future__ import annotations

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


def coalition_logits(
    model_input: ModelInput, mask: LayerMask, lane: Lane, package: ModelPackage
) -> NDArray[np.float32]:
    """(128, classes): the classifier's logits for every set of layers that keep their own content.

    The content of the others is the cohort profile: the training subjects' mean at the same relative depth
    of the same layer. Row 127 is the scan itself, row 0 the geometry alone.
    """
    manifest, image = package.manifest, model_input.image
    labels = model_labels(mask, image.shape[1:], lane)
    profile = lane.constant(f"profile {package.sha256}", _profile(package))
    fill = fill_image(labels, profile, manifest.depth_axis)
    sets = lane.constant("coalitions", COALITIONS)
    engine, size = lane.forward(package), _batch(package, image, lane)
    parts = []
    for start in range(0, len(COALITIONS), size):
        chunk = sets[start : start + size]
        with lane.times.stage("explain.compose"):
            composed = lane.buffer("composed", (len(chunk), *image.shape))
            ops.layer_compose(image, labels, chunk, fill_values=fill, out=composed, threads=lane.op_threads)
        with lane.times.stage("explain.coalitions"):
            parts.append(run_padded(engine, {manifest.input: composed}, (manifest.output,), size)[0])
    values = lane.place.take(np.concatenate(parts))
    if not np.isfinite(values).all():
        raise StepFailure("coalition_nonfinite", "a composed input gave NaN or Inf", input_at_fault=False)
    return values


def model_labels(mask: LayerMask, grid: tuple[int, ...], lane: Lane) -> NDArray[np.uint8]:
    """The mask on the classifier's grid."""
    labels: NDArray[np.uint8] = ops.resample_labels(mask.labels, grid, mode="nearest", threads=lane.op_threads)
    return labels


def _batch(package: ModelPackage, image: NDArray[np.float32], lane: Lane) -> int:
    """Composed inputs per engine call; a 2D model sees each slice of each of them as an item of its own."""
    axis = package.manifest.slice_axis
    slices = 1 if axis is None else image.shape[1 + "zyx".index(axis)]
    return max(1, lane.config.coalition_batch // slices)


def _profile(package: ModelPackage) -> NDArray[np.float32]:
    if package.fill_profile is None:
        raise ModelError(f"{package.path}: expected a fill profile, found none")
    return package.fill_profile
