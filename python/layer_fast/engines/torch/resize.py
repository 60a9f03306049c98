"""Resize and sampling on a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...graphs.interpolation import Sampling, matrix
from .registry import Node, Tensor, axis_of, by_axis, op

_RESIZE = (
    "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "
    "keep_aspect_ratio_policy mode nearest_mode"
)


@op("Resize", _RESIZE, host=(1, 2, 3))
def resize(node: Node, x: Tensor, roi: Tensor = None, scales: Tensor = None, sizes: Tensor = None) -> Tensor:
    """Separable: one axis after the other, each by its interpolation matrix, of which only the taps are used."""
    mode = node.attr("coordinate_transformation_mode", "half_pixel")
    if mode == "tf_crop_and_resize":
        raise node.refuse("coordinate_transformation_mode 'tf_crop_and_resize' is not supported")
    axes = [axis_of(a, x.dim()) for a in node.attr("axes") or range(x.dim())]
    sampling = Sampling(
        node.attr("mode", "nearest"), mode, node.attr("nearest_mode", "round_prefer_floor"),
        node.attr("cubic_coeff_a", -0.75), bool(node.attr("exclude_outside", 0)), bool(node.attr("antialias", 0)),
    )  # fmt: skip
    for axis, (count, scale) in zip(axes, _targets(node, x, axes, scales, sizes), strict=True):
        if count != x.shape[axis] or scale != 1.0:
            x = _interpolate(node, x, axis, count, scale, sampling)
    return x


def _targets(node: Node, x: Tensor, axes: list[int], scales: Tensor, sizes: Tensor) -> list[tuple[int, float]]:
    """(size of the output, scale) of every axis."""
    lengths = [x.shape[axis] for axis in axes]
    if scales is not None and scales.numel():
        factors = [float(s) for s in scales.tolist()]
        return [(int(np.floor(np.float32(n) * np.float32(f))), f) for n, f in zip(lengths, factors, strict=True)]
    wanted = [int(n) for n in sizes.tolist()]
    policy = node.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return [(count, count / n) for n, count in zip(lengths, wanted, strict=True)]
    pick = min if policy == "not_larger" else max
    factor = pick(count / n for n, count in zip(lengths, wanted, strict=True))
    return [(int(np.floor(factor * n + 0.5)), factor) for n in lengths]


def _interpolate(node: Node, x: Tensor, axis: int, count: int, scale: float, sampling: Sampling) -> Tensor:
    key = (axis, x.shape[axis], count, scale, x.dtype)
    if key not in node.kept:
        node.kept[key] = _taps(x, axis, count, scale, sampling)
    taps = node.kept[key]
    if sampling.mode == "nearest":
        return x.index_select(axis, taps[0][0])
    wide = x if x.dtype.is_floating_point else x.float()
    parts = [wide.index_select(axis, places) * weights for places, weights in taps]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.to(x.dtype)


def _taps(x: Tensor, axis: int, count: int, scale: float, sampling: Sampling) -> list[tuple[Tensor, Tensor]]:
    """Per tap the positions read and the weights, as few taps as the fullest row of the matrix has."""
    weights = matrix(sampling, x.shape[axis], count, scale)
    width = max(1, int((weights != 0).sum(1).max()))
    order = np.argsort(weights == 0, axis=1, kind="stable")[:, :width]
    values = np.take_along_axis(weights, order, axis=1)
    kind = x.dtype if x.dtype.is_floating_point else torch.float32
    return [
        (
            torch.from_numpy(np.ascontiguousarray(order[:, k])).to(x.device),
            by_axis(torch.from_numpy(np.ascontiguousarray(values[:, k])).to(x.device, kind), axis, x.dim()),
        )
        for k in range(width)
    ]


@op("GridSample", "align_corners mode padding_mode")
def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    names = {"linear": "bilinear", "cubic": "bicubic"}
    mode = node.attr("mode", "linear")
    return functional.grid_sample(
        x, grid, names.get(mode, mode), node.attr("padding_mode", "zeros"), bool(node.attr("align_corners", 0))
    )


@op("AffineGrid", "align_corners", host=(1,))
def affine_grid(node: Node, theta: Tensor, sizes: Tensor) -> Tensor:
    return functional.affine_grid(theta, sizes.tolist(), align_corners=bool(node.attr("align_corners", 0)))


@op("Col2Im", "dilations pads strides", host=(1, 2))
def col2im(node: Node, x: Tensor, image: Tensor, block: Tensor) -> Any:
    sizes, kernel = image.tolist(), block.tolist()
    pads = node.attr("pads") or [0] * 2 * len(sizes)
    if len(sizes) != 2 or pads[:2] != pads[2:]:
        raise node.refuse("only two spatial axes with symmetric padding are supported")
    ones = [1, 1]
    return functional.fold(x, sizes, kernel, node.attr("dilations") or ones, pads[:2], node.attr("strides") or ones)
