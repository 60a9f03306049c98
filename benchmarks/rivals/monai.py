"""MONAI's array transforms, on tensors with a channel axis as its pipelines have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import NormalizeIntensity, Resize, ScaleIntensityRangePercentiles, Spacing

from rivals import Inputs, Method

PACKAGE = "monai"
THREADED = True


def set_threads(count: int) -> None:
    torch.set_num_threads(count)


def _spacing(**options: Any) -> Any:
    """Spacing's default keeps the centre of the first voxel: x_in = s x_out."""

    def prepare(inputs: Inputs) -> Any:
        volume, shape = inputs["volume"], inputs["shape"]
        step = [n / m for n, m in zip(volume.shape, shape, strict=True)]
        tensor, spacing = MetaTensor(torch.from_numpy(volume)[None], affine=torch.eye(4)), Spacing(step, **options)
        return lambda: spacing(tensor, output_spatial_shape=shape)

    return prepare


def _first_voxel_kept(inputs: Inputs, _: Any) -> Any:
    import layer_fast as lf

    volume, shape = inputs["volume"], inputs["shape"]
    matrix = np.diag([*(n / m for n, m in zip(volume.shape, shape, strict=True)), 1.0])
    return lf.resample(volume, shape, grid_map=matrix)


def _resize(antialias: bool) -> Any:
    def prepare(inputs: Inputs) -> Any:
        change = Resize(inputs["shape"], mode="trilinear", align_corners=False, anti_aliasing=antialias)
        tensor = torch.from_numpy(inputs["volume"])[None]
        return lambda: change(tensor)

    return prepare


def _gaussian(inputs: Inputs, _: Any) -> Any:
    """Gaussian of (step - 1) / 2 with the integral over each voxel as weight, zeros outside the volume; then linear."""
    from math import erf

    from scipy import ndimage

    from cases.oracles import keep_linear

    values, shape = inputs["volume"].astype(np.float64), inputs["shape"]
    for axis, (n, m) in enumerate(zip(inputs["volume"].shape, shape, strict=True)):
        sigma = max(0.0, (n / m - 1) / 2)
        if sigma > 0:
            tail = int(max(sigma * 4, 0.5) + 0.5)
            edges = [erf((k - 0.5) / (sigma * 2**0.5)) / 2 for k in range(-tail, tail + 2)]
            values = ndimage.correlate1d(values, np.diff(edges), axis, mode="constant")
    return keep_linear(values, shape)


def _zscore(inputs: Inputs) -> Any:
    change, volume = NormalizeIntensity(nonzero=True), torch.from_numpy(inputs["volume"])[None]
    if volume.is_floating_point():  # changed in place, so a pipeline that keeps its input copies first
        return lambda: change(volume.clone())
    return lambda: change(volume)


def _zeros_stay(inputs: Inputs, ours: Any) -> Any:
    return np.where(inputs["volume"] == 0, np.float32(0), ours)


def _clip(inputs: Inputs) -> Any:
    low, high = inputs["percentiles"]
    change = ScaleIntensityRangePercentiles(low, high, 0.0, 1.0, clip=True)
    volume = torch.from_numpy(inputs["volume"])[None]
    return lambda: change(volume.float())  # torch.quantile takes no uint8


def first_channel(result: Any) -> Any:
    return np.asarray(result[0])


def _method(prepare: Any, convention: str = "the same", **more: Any) -> Method:
    return Method(prepare, convention, convert=first_channel, **more)


_FIRST = "first voxel centres coincide"
_CLIP = {"MONAI ScaleIntensityRangePercentiles": _method(_clip)}
METHODS = {
    "linear": {
        "MONAI Spacing": _method(_spacing(), _FIRST, expected=_first_voxel_kept, note="in float64, its default"),
        "MONAI Spacing, float32": _method(_spacing(dtype=np.float32), _FIRST, expected=_first_voxel_kept),
        "MONAI Resize": _method(_resize(False)),
    },
    "antialias": {
        "MONAI Resize": _method(_resize(True), "Gaussian, zeros outside; ours a wider triangle", expected=_gaussian)
    },
    "zscore": {"MONAI NormalizeIntensity": _method(_zscore, "zeros stay zero", expected=_zeros_stay)},
    "clip": _CLIP,
    "clip_u8": _CLIP,
}
