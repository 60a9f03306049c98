"""Attribution maps of one classifier: class activation maps and the gradient family, each a few calls of one graph.

Maps are signed wherever the method is; what a sign means for a layer is the definition's business, not the map's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CAM_METHODS, RunConfig
from ..engines import Engine, run_padded
from ..errors import StepFailure
from ..models import ModelPackage
from ..models.fill import AXES
from ..models.graph_checks import added_output
from .compiled import even_batch
from .lane import Lane

Image = NDArray[np.float32]
Put = Callable[[NDArray[Any]], Any]
_NOISE_SEED = 20511  # smoothgrad's noise is the same for every scan, run and machine


@dataclass(frozen=True, slots=True)
class AttributionMap:
    """values: float32 (z, y, x), one map of the whole input, or (channel, z, y, x), on a grid that spans the scan's
    field of view. baseline: where a path started ("" without one). residual: of integrated gradients, the sum of the
    map less (target of the input - target of the baseline), in units of the target; None elsewhere."""

    values: NDArray[np.float32]
    baseline: str = ""
    residual: float | None = None


@dataclass(frozen=True, slots=True)
class GradientGraph:
    """The gradient of the target by the image. limit: inputs that one call may hold."""

    engine: Engine
    image: str  # name of the input
    limit: int

    def __call__(self, images: Image, batch: int) -> Image:
        """(N, C, z, y, x) -> d(target) / d(image) of each, the same shape, in a call of exactly `batch` inputs, so that
        low bits do not depend on how many there are. Raises StepFailure for NaN or Inf."""
        feeds = {self.image: images, "cotangent": np.ones_like(images, shape=(len(images), 1))}
        (found,) = run_padded(self.engine, feeds, (added_output("gradient", self.image),), batch)
        return _finite(found, "gradient")

    def batch_of(self, count: int) -> int:
        return even_batch(count, self.limit)


def class_activation_maps(
    images: Image, lane: Lane, package: ModelPackage, method: str, batch: int
) -> tuple[NDArray[np.float32], list[AttributionMap]]:
    """Logits (B, classes) and a map (z, y, x) on the activation's grid for each image, from one call per batch.

    gradcam is clipped at 0 as Selvaraju et al. 2017 define it; hirescam (Draelos and Carin 2020) is not.
    """
    manifest = package.manifest
    engine, outputs = lane.explaining(package, method), (manifest.output, added_output(method, manifest.input))
    feeds = {manifest.input: images, "cotangent": np.ones_like(images, shape=(len(images), 1))}
    if manifest.spatial_dims == 3:
        logits, cams = run_padded(engine, feeds, outputs, batch)
    else:  # the maps of one scan's slices come as a batch; see graphs.over_slices
        logits, slices = engine.run(feeds, outputs)
        cams = np.moveaxis(slices, 0, AXES[str(manifest.slice_axis)])[None]
    _finite(cams, method)
    if method == "gradcam":
        cams = np.maximum(cams, 0.0)
    return lane.place.take(logits), [AttributionMap(_contiguous(cam)) for cam in cams]


def gradient_maps(
    image: Image, methods: tuple[str, ...], graph: GradientGraph, config: RunConfig,
    baseline: Image, predict: Callable[[Image], NDArray[np.float64]], put: Put = np.asarray,
) -> dict[str, AttributionMap]:  # fmt: skip
    """The maps (C, z, y, x) of the gradient family for one image (C, z, y, x).

    baseline: start of the path of integrated gradients. predict: images (N, C, z, y, x) -> targets (N,). put: brings
    an array of the host to where the image is.
    """
    out = {}
    if "gradient" in methods or "input_x_gradient" in methods:
        gradient = graph(image[None], 1)[0]
        if "gradient" in methods:
            out["gradient"] = AttributionMap(gradient)
        if "input_x_gradient" in methods:
            out["input_x_gradient"] = AttributionMap(image * gradient)
    if "integrated_gradients" in methods:
        values = integrated_gradients(image, baseline, graph, config.ig_steps, put)
        start, end = predict(np.stack([baseline, image]))
        residual = float(values.sum(dtype=np.float64)) - float(end - start)
        out["integrated_gradients"] = AttributionMap(values, config.ig_baseline, residual)
    if "smoothgrad" in methods:
        values = smoothgrad(image, graph, config.smoothgrad_samples, config.smoothgrad_sigma, put)
        out["smoothgrad"] = AttributionMap(values)
    return out


def integrated_gradients(
    image: Image, baseline: Image, graph: GradientGraph, steps: int, put: Put = np.asarray
) -> NDArray[np.float32]:
    """(image - baseline) times the mean gradient on the straight line between them (Sundararajan et al. 2017), by
    Gauss-Legendre quadrature with `steps` nodes, summed in float64."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    difference = image - baseline
    total = np.zeros_like(image, dtype=np.float64)
    batch = graph.batch_of(steps)
    for part in _parts(steps, batch):
        shares = put(((1.0 + nodes[part]) / 2.0).astype(np.float32).reshape(-1, 1, 1, 1, 1))
        total += np.tensordot(put(weights[part] / 2.0), graph(baseline + shares * difference, batch), axes=1)
    return (difference * total).astype(np.float32)


def smoothgrad(
    image: Image, graph: GradientGraph, samples: int, sigma: float, put: Put = np.asarray
) -> NDArray[np.float32]:
    """Mean gradient over copies of the image with normal noise of SD sigma (Smilkov et al. 2017), in float64."""
    rng = np.random.Generator(np.random.Philox(_NOISE_SEED))
    total = np.zeros_like(image, dtype=np.float64)
    batch = graph.batch_of(samples)
    for part in _parts(samples, batch):
        count = part.stop - part.start
        noise = put(rng.standard_normal((count, *image.shape), np.float32))  # the host's, the same on every device
        total += graph(image + np.float32(sigma) * noise, batch).sum(axis=0, dtype=np.float64)
    return (total / samples).astype(np.float32)


def cam_methods(methods: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(method for method in CAM_METHODS if method in methods)


def _parts(count: int, size: int) -> Iterator[slice]:
    """Whole batches, so that what is held at once is bounded."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _contiguous(array: Image) -> Image:
    return array if array.flags.c_contiguous else array.copy()


def _finite(values: Image, what: str) -> Image:
    if not np.isfinite(values).all():
        raise StepFailure("map_nonfinite", f"the {what} map of the classifier holds NaN or Inf", input_at_fault=False)
    return values
