"""Plain readings of a package for the model card: ONNX Runtime and NumPy, none of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from ... import ops
from ...engines import Engine, open_engine
from ...errors import ModelError
from ...graphs import gradcam
from ...models import ModelPackage, fill_image
from ...types import NUM_LAYERS

PLAYERS = NUM_LAYERS + 1
Array = NDArray[np.float64]


def _session(data: bytes, threads: int) -> Engine:
    return open_engine("onnxruntime", data, threads=threads, label="model card")


def shapley_matrix() -> tuple[NDArray[np.bool_], Array]:
    """Coalitions (128, 7) bool, bit k of the row = player k keeps its content; and (7, 128): values to Shapley."""
    coalitions = (np.arange(2**PLAYERS)[:, None] >> np.arange(PLAYERS) & 1).astype(bool)
    matrix = np.zeros((PLAYERS, 2**PLAYERS))
    for n, inside in enumerate(coalitions):
        size = int(inside.sum())
        for k in range(PLAYERS):
            if inside[k]:
                matrix[k, n] = factorial(size - 1) * factorial(PLAYERS - size) / factorial(PLAYERS)
            else:
                matrix[k, n] = -factorial(size) * factorial(PLAYERS - size - 1) / factorial(PLAYERS)
    return coalitions, matrix


COALITIONS, TO_SHAPLEY = shapley_matrix()


@dataclass(frozen=True)
class Reading:
    """One scan. margin: logit of case minus control. shapley (7,). cam_mean, cam_sum (7,): of the positive Grad-CAM."""

    margin: float
    shapley: Array
    cam_mean: Array
    cam_sum: Array


class Reader:
    """Runs one classifier package; a 2D one over the slices along z."""

    def __init__(self, package: ModelPackage, threads: int = 1) -> None:
        if package.fill_profile is None:
            raise ModelError(f"{package.path}: expected a classifier, found a {package.manifest.role}")
        self.package = package
        self.profile = package.fill_profile
        self.channels = [("bmode", "swe").index(c.modality) for c in package.manifest.channels]
        self.weights = package.target_weights()
        self.session = _session(package.volume_bytes, threads)
        cam = gradcam(package.volume_model, package.manifest.output, str(package.manifest.cam_tensor))
        self.cam_session = _session(cam.SerializeToString(), threads)

    def margin(self, image: NDArray[np.float32]) -> float:
        """Margin of one image (2, z, y, x) with the channels bmode and swe."""
        return float(self._margins(image[None, self.channels])[0])

    def _margins(self, batch: NDArray[np.float32]) -> Array:
        logits = self.session.run({"image": batch}, ("logits",))[0]
        return np.asarray(logits @ self.weights, dtype=np.float64)

    def read(self, image: NDArray[np.float32], labels: NDArray[np.uint8]) -> Reading:
        """Margin, exact Shapley values over the layers and Grad-CAM by layer of one image (2, z, y, x)."""
        own = image[self.channels]
        fill = fill_image(labels, self.profile, self.package.manifest.depth_axis)
        values = []
        for rows in np.split(COALITIONS, 8):
            keep = rows[:, labels][:, None]
            values.append(self._margins(np.where(keep, own, fill)))
        value = np.concatenate(values)
        mean, total = self._cam(own, labels)
        return Reading(float(value[-1]), TO_SHAPLEY @ value, mean, total)

    def _cam(self, own: NDArray[np.float32], labels: NDArray[np.uint8]) -> tuple[Array, Array]:
        feeds = {"image": np.ascontiguousarray(own[None]), "cotangent": self.weights[None]}
        maps = self.cam_session.run(feeds, ("cam",))[0]  # (1, z, y, x), or (slices, y, x) of a 2D model
        cam = np.maximum(maps.reshape(-1, *maps.shape[-2:]), 0.0).astype(np.float64)
        nz, ny, nx = cam.shape
        bz, by, bx = (n // m for n, m in zip(labels.shape, cam.shape, strict=True))
        hot = (labels[None] == np.arange(PLAYERS, dtype=np.uint8)[:, None, None, None]).astype(np.float64)
        share = hot.reshape(PLAYERS, nz, bz, ny, by, nx, bx).mean(axis=(2, 4, 6))
        total = (share * cam).sum(axis=(1, 2, 3))
        return total / share.sum(axis=(1, 2, 3)), total


class SegmenterReader:
    """Runs a segmenter package."""

    def __init__(self, package: ModelPackage, threads: int = 1) -> None:
        self.package = package
        self.session = _session(package.volume_bytes, threads)

    def labels(self, image: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        """Labels uint8 on the scan's grid (z, y, x) of one model input (z, y, x)."""
        logits = self.session.run({"image": image[None, None]}, ("logits",))[0][0]
        return np.asarray(ops.argmax_resample(np.ascontiguousarray(logits), shape), dtype=np.uint8)


def auc(cases: list[float], controls: list[float]) -> float:
    """Area under the ROC curve: share of pairs in the right order, ties half. NaN if a class is empty."""
    if not cases or not controls:
        return float("nan")
    gap = np.subtract.outer(np.array(cases), np.array(controls))
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())
