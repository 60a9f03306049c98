"""The steps in front of a statistic, in their fixed order: inversion, sign, clipping, normalisation. All in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..quantify import Reduction

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_AXES = {"z": 0, "y": 1, "x": 2}
_UNIT_ROUNDING = 1e-6  # a map that was scaled to 0..1 in single precision may miss its ends by that much


def pool_channels(maps: NDArray[np.float32], how: str) -> tuple[NDArray[np.float32], list[str]]:
    """(K, z, y, x) and a name per map: of one map "", of several their index; pooled over channels the way's name.

    Pooling comes before interpolation and before every transform.
    """
    if len(maps) == 1 or how == "each":
        return maps, [""] if len(maps) == 1 else [str(k) for k in range(len(maps))]
    wide = maps.astype(np.float64)
    if how == "l2":
        pooled = np.sqrt((wide**2).sum(axis=0))
    else:
        pooled = wide.max(axis=0) if how == "max" else wide.sum(axis=0) / (len(maps) if how == "mean" else 1)
    single = pooled.astype(np.float32)
    if not np.isfinite(single).all():
        raise ConfigError(f"channels {how!r}: expected pooled values in the range of float32, found larger ones")
    return single[None], [how]


def check_invertible(source: NDArray[np.float32], definition: Reduction) -> None:
    """one_minus undoes a map that was turned over within 0..1, and nothing else."""
    low, high = float(source.min()), float(source.max())
    if definition.invert == "one_minus" and not (low >= -_UNIT_ROUNDING and high <= 1 + _UNIT_ROUNDING):
        raise ConfigError(f"definition {definition.name!r}: invert 'one_minus' expects a map in 0..1, found {low:g} to "
                          f"{high:g}; 'negate' turns any map over")  # fmt: skip


def transform(values: Floats, labelled: Bools | None, definition: Reduction) -> tuple[Floats, tuple[str, ...]]:
    """The map (z, y, x) as the statistic sees it, and flags. labelled: None for a soft mask, which needs none.

    A slice or volume by which nothing can be normalised (one value only, or a maximum or sum that is not positive)
    becomes NaN and is flagged.
    """
    t = values
    if definition.invert != "none":
        t = -t if definition.invert == "negate" else 1.0 - t
    if definition.sign == "absolute":
        t = np.abs(t)
    elif definition.sign != "none":
        t = np.maximum(t if definition.sign == "positive" else -t, 0.0)
    if definition.clip is not None:
        chosen = t.ravel() if definition.clip.voxels == "all" or labelled is None else t[labelled]
        if not chosen.size:
            return np.full_like(t, np.nan), ("nothing_to_clip_by",)
        low, high = np.percentile(chosen, definition.clip.percentiles)
        t = np.clip(t, low, high)
    return _normalised(t, labelled, definition)


def _normalised(t: Floats, labelled: Bools | None, definition: Reduction) -> tuple[Floats, tuple[str, ...]]:
    spec = definition.normalise
    if spec.kind == "none":
        return t, ()
    chosen = np.ones(t.shape, bool) if spec.voxels == "all" or labelled is None else labelled
    if spec.axis is None:
        out = _scaled(t, t[chosen], spec.kind)
        return (np.full_like(t, np.nan), ("no_normaliser",)) if out is None else (out, ())
    axis = _AXES[spec.axis]
    slices = np.moveaxis(t, axis, 0)
    done = [_scaled(s, s[c], spec.kind) for s, c in zip(slices, np.moveaxis(chosen, axis, 0), strict=True)]
    missing = sum(one is None for one in done)
    filled = [np.full(slices.shape[1:], np.nan) if one is None else one for one in done]
    flags = (f"slices_without_normaliser:{missing}",) if missing else ()
    return np.moveaxis(np.stack(filled), 0, axis), flags


def _scaled(t: Floats, x: Floats, kind: str) -> Floats | None:
    """t normalised by the values x, None where x has nothing to normalise by."""
    if not x.size:
        return None
    low, high = float(x.min()), float(x.max())
    if kind == "rank":
        ordered = np.sort(x)
        order = np.argsort(t, axis=None, kind="stable")  # sorted questions find their places in the cache
        asked = t.ravel()[order]
        out = np.empty(t.size)
        below, upto = (np.searchsorted(ordered, asked, side) for side in ("left", "right"))
        out[order] = (below + upto) / (2.0 * x.size)
        return out.reshape(t.shape)
    if kind in ("min_max", "z_score"):
        if not high > low:
            return None
        return (t - low) / (high - low) if kind == "min_max" else (t - x.mean()) / x.std()
    scale = high if kind == "max" else float(x.sum())
    return t / scale if scale > 0 else None
