"""A map and a mask, from files, volumes or arrays, checked and put side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, ReadError
from ..io import read_maps, read_mask
from ..types import Volume
from .place import check_shapes, map_to_mask

_SUM_OF_WEIGHTS = 1e-3  # probabilities that were rounded to half precision or 8 bits

Placed = tuple[Volume, ...]  # one grid; several: channels
Spacing = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Case:
    """maps: (K, z, y, x) float32. Either labels, uint8, or weights, float32 (labels + 1, z, y, x).
    grid_map: mask index -> map index where both have a place and differ; None: the grids fill one field of view."""

    maps: NDArray[np.float32]
    labels: NDArray[np.uint8] | None
    weights: NDArray[np.float32] | None
    grid_map: NDArray[np.float64] | None
    spacing_mm: Spacing | None
    names: dict[int, str]
    flags: tuple[str, ...]
    sources: dict[str, str]  # "map", "mask" -> file, or "array"
    sha256: dict[str, str]

    @property
    def shape(self) -> tuple[int, int, int]:
        mask = self.labels if self.labels is not None else self.weights
        assert mask is not None  # noqa: S101
        z, y, x = mask.shape[-3:]
        return z, y, x

    @property
    def interpolated(self) -> bool:
        return self.grid_map is not None or self.maps.shape[1:] != self.shape


def load_case(found: Any, mask: Any, names: Mapping[int, str], spacing_mm: Sequence[float] | None) -> Case:
    """Read or take both. Raises ReadError (files), StepFailure (another place), TypeError and ValueError (arrays)."""
    sources = {"map": _source(found), "mask": _source(mask)}
    map_array, map_place = _map(found)
    labels, weights, mask_place = _mask(mask, names, sources["mask"])
    grid = weights if labels is None else labels
    index = None
    if map_place and mask_place:
        index = map_to_mask(map_place[0], mask_place[0], (sources["map"], sources["mask"]))
    else:
        check_shapes(map_array.shape[1:], _three(grid))
    maps, rounded = _float32(map_array, sources["map"])
    flags = [f"map:{flag}" for flag in (map_place[0].flags if map_place else ())]
    flags += [f"mask:{flag}" for flag in (mask_place[0].flags if mask_place else ())]
    if index is not None or maps.shape[1:] != _three(grid):
        flags.append("map_interpolated")
    return Case(
        maps, labels, weights, index, _spacing(mask_place, spacing_mm), dict(names), (*flags, *rounded), sources,
        {key: place[0].sha256 for key, place in (("map", map_place), ("mask", mask_place)) if place},
    )  # fmt: skip


def _three(array: NDArray[Any] | None) -> tuple[int, ...]:
    assert array is not None  # noqa: S101
    return array.shape[-3:]


def _source(given: Any) -> str:
    return os.fspath(given) if isinstance(given, str | os.PathLike) else type(given).__name__


def _map(given: Any) -> tuple[NDArray[Any], Placed]:
    if isinstance(given, str | os.PathLike):
        placed = read_maps(given)
        return _stacked(placed), placed
    if isinstance(given, Volume):
        return _finite(given.array[None], "map"), (given,)
    array = _array(given, "map")
    if array.ndim not in (3, 4) or array.size == 0 or array.dtype.kind not in "fiu":
        raise ValueError(f"[quantify_map] expected map as numbers (z, y, x) or (channel, z, y, x), got {array.shape} "
                         f"{array.dtype.name}")  # fmt: skip
    return _finite(array if array.ndim == 4 else array[None], "map"), ()


def _mask(
    given: Any, names: Mapping[int, str], source: str
) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None, Placed]:
    if isinstance(given, str | os.PathLike):
        placed = read_mask(given, names)
        if len(placed) == 1:
            return placed[0].array, None, placed
        try:
            return None, _weights(_stacked(placed), names), placed
        except ValueError as error:
            raise ReadError("label_values", f"{source}: {str(error).removeprefix('[quantify_map] ')}") from None
    if isinstance(given, Volume):
        return _labels(given.array, names), None, (given,)
    array = _array(given, "mask")
    if array.ndim == 4:
        return None, _weights(array, names), ()
    return _labels(array, names), None, ()


def _stacked(placed: Placed) -> NDArray[Any]:
    return placed[0].array[None] if len(placed) == 1 else np.stack([volume.array for volume in placed])


def _array(given: Any, name: str) -> NDArray[Any]:
    if isinstance(given, np.ndarray):
        return given
    if hasattr(given, "__dlpack__"):
        try:
            return np.from_dlpack(given)
        except (BufferError, RuntimeError, TypeError) as error:
            raise TypeError(f"[quantify_map] expected {name} on the CPU to share by DLPack, got: {error}") from error
    what = "a file, a Volume or a NumPy or DLPack array"
    raise TypeError(f"[quantify_map] expected {name} as {what}, got {type(given).__name__}")


def _finite(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(array)))):
        raise ValueError(f"[quantify_map] expected finite values in {name}, got {bad} that are not")
    return array


def _float32(array: NDArray[Any], source: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The working precision of maps, as everywhere in the house; what it changes is said."""
    with np.errstate(over="ignore", under="ignore"):
        single = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(single).all():
        raise ReadError("non_finite", f"{source}: expected values in the range of float32, found larger ones")
    return single, () if array.dtype == np.float32 or bool((single == array).all()) else ("rounded_to_float32",)


def _labels(array: NDArray[Any], names: Mapping[int, str]) -> NDArray[np.uint8]:
    if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "iub":
        raise ValueError("[quantify_map] expected mask as whole numbers (z, y, x), or weights (label, z, y, x), got "
                         f"{array.shape} {array.dtype.name}")  # fmt: skip
    unknown = sorted(set(np.unique(array).tolist()) - set(names))
    if unknown:
        known = ", ".join(f"{value} {name}" for value, name in names.items())
        raise ValueError(f"[quantify_map] expected labels of the mask among {known}, got {unknown[:20]}")
    return np.ascontiguousarray(array, dtype=np.uint8)


def _weights(array: NDArray[Any], names: Mapping[int, str]) -> NDArray[np.float32]:
    if array.dtype.kind != "f" or len(array) != max(names) + 1:
        wanted = f"{max(names) + 1} channels of floats, background first"
        raise ValueError(f"[quantify_map] expected a soft mask of {wanted}, got {array.shape} {array.dtype.name}")
    out = np.ascontiguousarray(array, dtype=np.float32)
    if not (out.min() >= 0 and out.max() <= 1):  # false for NaN too
        raise ValueError(f"[quantify_map] expected weights of the mask in 0..1, got {out.min():g} to {out.max():g}")
    nameless = [value for value in range(len(out)) if value not in names and out[value].any()]
    if nameless:
        raise ValueError(f"[quantify_map] expected weights of 0 for labels without a name, got others for {nameless}")
    apart = float(np.abs(out.sum(axis=0, dtype=np.float64) - 1).max())
    if apart > _SUM_OF_WEIGHTS:
        raise ValueError(f"[quantify_map] expected weights that add up to 1 per voxel, got sums off by {apart:.3g}")
    return out


def _spacing(placed: Placed, given: Sequence[float] | None) -> Spacing | None:
    if placed:
        if given is not None:
            raise ConfigError("[quantify_map] spacing_mm goes with a mask without a place; this one states its own")
        return placed[0].spacing_mm
    if given is None:
        return None
    numbers = tuple(float(n) for n in given)
    if len(numbers) != 3 or not all(np.isfinite(n) and n > 0 for n in numbers):
        raise ValueError(f"[quantify_map] expected spacing_mm as three positive lengths (z, y, x), got {given}")
    return numbers[0], numbers[1], numbers[2]
