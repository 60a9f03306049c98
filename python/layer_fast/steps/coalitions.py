"""The classifier's logits for every set of layers that keep their own content: what Shapley values are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..engines import run_padded
from ..errors import StepFailure
from ..models import ModelPackage
from ..types import REGIONS, LayerMask
from .fills import fill_content
from .lane import Lane
from .prepare import ModelInput

NUM_PLAYERS = len(REGIONS)  # the background is a player too
# Row n keeps the own content of player k where bit k of n is set.
COALITIONS: NDArray[np.bool_] = (np.arange(2**NUM_PLAYERS)[:, None] >> np.arange(NUM_PLAYERS) & 1).astype(bool)


def coalition_logits(
    model_input: ModelInput,
    mask: LayerMask,
    lane: Lane,
    package: ModelPackage,
    fills: tuple[str, ...] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """By fill (128, classes): the classifier's logits for every set of layers that keep their own content.

    fills: those of the configuration if left out. The content of the others is the fill's. Row 127 is the scan itself,
    the same in every fill, for which it is run once; row 0 is the geometry alone.
    """
    labels = model_labels(mask, model_input.image.shape[1:], lane)
    found: dict[str, NDArray[np.float32]] = {}
    for name in lane.config.fills if fills is None else fills:
        with lane.times.stage("explain.fill"):
            content = fill_content(name, model_input, labels, package)
        whole = next(iter(found.values()))[-1:] if found else None
        rows = COALITIONS if whole is None else COALITIONS[:-1]
        values = _logits(model_input.image, labels, rows, content, lane, package)
        found[name] = values if whole is None else np.concatenate([values, whole])
    return found


def _logits(
    image: NDArray[np.float32],
    labels: NDArray[np.uint8],
    rows: NDArray[np.bool_],
    content: NDArray[np.float32],
    lane: Lane,
    package: ModelPackage,
) -> NDArray[np.float32]:
    manifest, engine, size = package.manifest, lane.forward(package), _batch(package, image, lane)
    parts = []
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        with lane.times.stage("explain.compose"):
            composed = lane.buffer("composed", (len(chunk), *image.shape))
            ops.layer_compose(image, labels, chunk, fill_values=content, out=composed, threads=lane.op_threads)
        with lane.times.stage("explain.coalitions"):
            parts.append(run_padded(engine, {manifest.input: composed}, (manifest.output,), size)[0])
    values = np.concatenate(parts)
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

