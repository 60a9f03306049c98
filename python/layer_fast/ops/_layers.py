"""Maps and images per tissue layer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from layer_fast.ops._arrays import Placed, affine_map, apart, give, output, stream_of, take, thread_count, three
from layer_fast.ops._device import DeviceArray, as_float32
from layer_fast.ops._moments import LayerMoments
from layer_fast.ops._native import core

_log = logging.getLogger("layer_fast.ops")
_INT64 = ("count", "nonfinite", "argmax")
_FLOAT64 = ("weight", "sum", "sum_sq", "sum_abs", "sum_pos")
_FLOAT32 = ("min", "max")


def layer_reduce(
    maps: Any,
    labels: Any,
    *,
    num_layers: int = 6,
    quantiles: Sequence[float] = (),
    top_fraction: float | None = None,
    histogram: tuple[float, float, int] | None = None,
    weights: Any = None,
    grid_map: Any = None,
    threads: int | None = None,
) -> LayerMoments:
    """Statistics of maps inside the layers of a label volume, in one pass over memory.

    maps: (z, y, x) or (K, z, y, x) float32; float64 and float16 are converted to float32 once (the log says so).
    Maps coarser than the labels are read by linear interpolation on the fly: half-pixel convention
    x_map = (x + 1/2) n_map / n_labels - 1/2 with clamped edges, or by `grid_map`, a 4 x 4 affine matrix, label index
    -> map index, both (z, y, x) at voxel centres. labels: uint8 (z, y, x), 0 background, 1..num_layers.

    quantiles: in [0, 1], exact, the linear definition of numpy.quantile. top_fraction: `top_share` is the share of
    the layer's sum that its k = max(1, floor(top_fraction n + 1/2)) largest voxels hold, NaN where the sum is 0;
    read it for maps without negative values. histogram: (low, high, bins), equal widths, the upper edge in the last
    bin. weights: a soft mask (num_layers + 1, z, y, x) float32 with labels=None: sums are weighted, a voxel counts
    where its weight is positive; quantiles, top_fraction and histogram are not defined then.

    A batch of N scans on grids of one shape: labels (N, z, y, x), or weights (N, num_layers + 1, z, y, x), with maps
    (N, z, y, x) or (N, K, z, y, x); one grid_map for all. On a GPU a batch takes the launches of one
    scan, but for quantiles and top_fraction, which are looked for map by map.

    Returns LayerMoments with arrays (K, num_layers + 1), K = 1 for a single map, (N, K, num_layers + 1) for a batch:
    the bytes of N single calls, whatever the threads.
    Raises TypeError (dtype), ValueError (shapes, a label above num_layers, bad weights or options), DeviceError.
    """
    op = "layer_reduce"
    mask = _mask(labels, weights, num_layers, op)
    values = _maps(maps, op, None if mask.ndim == (3 if weights is None else 4) else len(mask))
    matrix = affine_map(grid_map, op)
    _not_finer(values.shape[-3:], mask.shape[-3:], matrix is None, op)
    asked = [float(q) for q in quantiles]
    shape = (*values.shape[:-3], num_layers + 1)
    arrays = _results(shape, len(asked), top_fraction is not None, histogram, values)
    stream = stream_of(op, maps=values, **{"labels" if weights is None else "weights": mask})
    core.layer_reduce(
        values,
        mask,
        arrays,
        weighted=weights is not None,
        num_layers=num_layers,
        grid_map=matrix,
        quantiles=asked,
        top_fraction=top_fraction,
        histogram=None if histogram is None else (float(histogram[0]), float(histogram[1]), int(histogram[2])),
        threads=thread_count(threads, op),
        stream=stream,
    )
    return _moments({name: _plain(array) for name, array in arrays.items()}, histogram, weights is not None)


def layer_weights(
    labels: Any,
    map_shape: Sequence[int],
    *,
    num_layers: int = 6,
    grid_map: Any = None,
    threads: int | None = None,
) -> Any:
    """What every voxel of a coarse map counts in every layer's sum: the adjoint of the interpolation of layer_reduce.

    labels: uint8 (z, y, x). map_shape: (mz, my, mx). grid_map: as in `layer_reduce`. Returns float64
    (num_layers + 1, mz, my, mx): its dot product with a map is `layer_reduce(map, labels).sum`, and its sum over the
    map is the layer's voxel count. float64, because sums of thousands of weights are compared with exact counts.
    Raises TypeError, ValueError (a label above num_layers, a map finer than the labels without grid_map), DeviceError.
    """
    op = "layer_weights"
    mask = take(labels, op, "labels", dtypes=("uint8",), axes=3)
    _layer_count(num_layers, op)
    shape = three(map_shape, op)
    matrix = affine_map(grid_map, op)
    _not_finer(shape, mask.shape, matrix is None, op)
    out = output(None, op, (num_layers + 1, *shape), np.float64, mask)
    count, stream = thread_count(threads, op), stream_of(op, labels=mask)
    core.layer_weights(mask, out, num_layers=num_layers, grid_map=matrix, threads=count, stream=stream)
    return give(out, labels)


def layer_compose(
    image: Any,
    labels: Any,
    coalitions: Any,
    *,
    fill_values: Any,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """An image once per coalition of layers, with the content of all other layers replaced.

    image: float32 (C, z, y, x). labels: uint8 (z, y, x). coalitions: bool (N, num_layers + 1): voxel v of layer k
    keeps image[:, v] in row n where coalitions[n, k], else it takes the fill. fill_values: (C, num_layers + 1), a
    constant per channel and layer, or (C, z, y, x), a whole image of fills. Returns float32 (N, C, z, y, x), `out`
    where given (C-contiguous; it may share no memory with the inputs).
    Raises TypeError (dtype), ValueError (shapes, a label without a column in coalitions), DeviceError.
    """
    op = "layer_compose"
    source = take(image, op, "image", dtypes=("float32",), axes=4)
    mask = take(labels, op, "labels", dtypes=("uint8",), axes=3)
    sets = take(coalitions, op, "coalitions", dtypes=("bool",), axes=2)
    numbers = fill_values if hasattr(fill_values, "shape") else np.asarray(fill_values)
    fill = _float32(numbers, op, "fill_values", (2, 4))
    result = output(out, op, (len(sets), *source.shape), np.float32, source)
    apart(result, op, image=source, labels=mask, coalitions=sets, fill_values=fill)
    count = thread_count(threads, op)
    stream = stream_of(op, image=source, labels=mask, coalitions=sets, fill_values=fill, out=result)
    core.layer_compose(source, mask, sets, fill, result, threads=count, stream=stream)
    return give(result, image, out)


def _layer_count(num_layers: int, op: str) -> None:
    if not 0 <= num_layers <= 255:
        raise ValueError(f"[{op}] expected num_layers from 0 to 255, got {num_layers}")


def _mask(labels: Any, weights: Any, num_layers: int, op: str) -> Placed:
    _layer_count(num_layers, op)
    if (labels is None) == (weights is None):
        raise ValueError(f"[{op}] expected either labels or weights, got {'neither' if labels is None else 'both'}")
    if weights is None:
        mask = take(labels, op, "labels", dtypes=("uint8",), axes=(3, 4))
    else:
        mask = take(weights, op, "weights", dtypes=("float32",), axes=(4, 5))
        if mask.shape[-4] != num_layers + 1:
            raise ValueError(f"[{op}] expected weights of {num_layers + 1} layers, got shape {mask.shape}")
    if mask.size == 0:
        raise ValueError(f"[{op}] expected labels or weights with voxels, got shape {mask.shape}")
    return mask


def _float32(array: Any, op: str, name: str, axes: tuple[int, ...]) -> Placed:
    """float32, float64 or float16 as float32; a finite value that float32 cannot hold is a ValueError.

    On a CUDA device float32 or float16: looking for such values there would wait for the device.
    """
    source = take(array, op, name, dtypes=("float32", "float64", "float16"), axes=axes)
    if source.dtype == np.float32:
        return source
    if isinstance(source, DeviceArray):
        if source.dtype == np.float64:
            raise TypeError(f"[{op}] expected {name} of dtype float32 or float16 on a CUDA device, got float64")
        return as_float32(source, op, name)
    _log.debug("[%s] %s was converted once: %s to float32", op, name, source.dtype.name)
    with np.errstate(over="ignore"):
        single = source.astype(np.float32)
    lost = int(np.count_nonzero(np.isfinite(source)) - np.count_nonzero(np.isfinite(single)))
    if lost:
        raise ValueError(f"[{op}] expected {name} in the range of float32, got {lost} larger values")
    return single


def _maps(maps: Any, op: str, scans: int | None) -> Placed:
    """(K, z, y, x), of a batch of `scans` (N, K, z, y, x)."""
    values = _float32(maps, op, "maps", (3, 4) if scans is None else (4, 5))
    if values.size == 0:
        raise ValueError(f"[{op}] expected maps with voxels, got shape {values.shape}")
    if scans is None:
        return values[None] if values.ndim == 3 else values
    if len(values) != scans:
        raise ValueError(f"[{op}] expected maps of {scans} scans, as many as masks, got shape {values.shape}")
    return values[:, None] if values.ndim == 4 else values


def _not_finer(map_shape: tuple[int, ...], grid: tuple[int, ...], default: bool, op: str) -> None:
    if default and any(m > n for m, n in zip(map_shape, grid, strict=True)):
        raise ValueError(f"[{op}] expected maps no finer than the labels {grid} (or a grid_map), got {map_shape}")


def _results(
    shape: tuple[int, ...], quantiles: int, top: bool, histogram: tuple[float, float, int] | None, like: Placed
) -> dict[str, Placed]:
    def new(dtype: DTypeLike, *more: int) -> Placed:
        return output(None, "layer_reduce", (*shape, *more), dtype, like)

    arrays = {name: new(np.int64) for name in _INT64}
    arrays |= {name: new(np.float64) for name in _FLOAT64}
    arrays |= {name: new(np.float32) for name in _FLOAT32}
    if quantiles:
        arrays["quantiles"] = new(np.float64, quantiles)
    if top:
        arrays["top_share"] = new(np.float64)
    if histogram is not None:
        if int(histogram[2]) < 1:
            raise ValueError(f"[layer_reduce] expected histogram with 1 bin or more, got {histogram[2]}")
        arrays["histogram"] = new(np.int64, int(histogram[2]) + 2)
    return arrays


def _plain(array: Placed) -> Any:
    return array.owner if isinstance(array, DeviceArray) else array


def _moments(arrays: dict[str, Any], histogram: tuple[float, float, int] | None, weighted: bool) -> LayerMoments:
    if histogram is not None:
        counts = arrays.pop("histogram")
        arrays |= {"histogram": counts[..., 1:-1], "underflow": counts[..., 0], "overflow": counts[..., -1]}
        arrays["edges"] = np.linspace(histogram[0], histogram[1], int(histogram[2]) + 1)
    return LayerMoments(weighted=weighted, **arrays)
