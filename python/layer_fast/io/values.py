"""What voxel values may be: finite, not constant, labels 0 to 6, speeds in m/s that are not negative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..types import REGIONS

DENSITY_KG_M3 = 1000.0  # soft tissue as scanners assume it
SWE_UNITS = ("m/s", "kPa")
_HOUSE = dict(enumerate(REGIONS))
_SWE_MAX_M_S = 20.0  # scanners display up to about 16 m/s; more hints at a wrong unit


def check_image(array: NDArray[Any], name: str, *, holes: bool = False) -> None:
    """Refuse what is not an image. `holes` allows NaN (shear wave where nothing was measured), infinity never.

    Raises ReadError `non_finite` with the count, `no_valid_voxels`, `constant`.
    """
    low, high = _extent(array, name, holes)
    if low == high:
        raise ReadError("constant", f"{name!r}: every voxel has the same value, nothing was recorded")


def _extent(array: NDArray[Any], name: str, holes: bool) -> tuple[float, float]:
    low, high = array.min(), array.max()  # NaN and infinity reach one of the two: no mask is built for clean data
    if array.dtype.kind != "f" or (np.isfinite(low) and np.isfinite(high)):
        return float(low), float(high)
    nans = int(np.count_nonzero(np.isnan(array)))
    infinite = array.size - nans - int(np.count_nonzero(np.isfinite(array)))
    if infinite or not holes:
        raise ReadError("non_finite", f"{name!r}: {nans} voxels are NaN and {infinite} infinite, of {array.size}")
    if nans == array.size:
        raise ReadError("no_valid_voxels", f"{name!r}: every voxel is NaN")
    return float(np.nanmin(array)), float(np.nanmax(array))


def to_speed(array: NDArray[Any], unit: str | None, name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Shear-wave speed in m/s as float32 (z, y, x), NaN kept, and flags.

    `unit` is "m/s" or "kPa" (Young's modulus E = 3 rho c^2 with rho 1000 kg/m^3). Raises ReadError `swe_unit`,
    `swe_negative` and those of `check_image`.
    """
    if unit not in SWE_UNITS:
        raise unit_missing(unit, name)
    check_image(array, name, holes=True)
    if np.nanmin(array) < 0:
        raise ReadError("swe_negative", f"{name!r}: {int(np.count_nonzero(array < 0))} voxels are negative")
    flags: list[str] = []
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinity, and infinity is refused below
        if unit == "kPa":
            # kPa -> Pa is the factor 1000
            speed = np.sqrt(array.astype(np.float64) * (1000.0 / (3.0 * DENSITY_KG_M3))).astype(np.float32)
            flags.append("swe_from_kpa")
        else:
            speed = np.ascontiguousarray(array, dtype=np.float32)
    check_image(speed, name, holes=True)
    if np.any(speed == 0):
        flags.append("swe_zeros")
    if np.nanmax(speed) > _SWE_MAX_M_S:
        flags.append("swe_above_20_m_s")
    return speed, tuple(flags)


def to_working(array: NDArray[Any], name: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """B-mode in a dtype that the ops take: uint8, int16, uint16 and float32 stay, int8 becomes int16, others float32.

    Flag `rounded_to_float32` where a value changed. Raises ReadError `non_finite` beyond the range of float32.
    """
    if array.dtype in (np.uint8, np.int16, np.uint16, np.float32):
        return array, ()
    if array.dtype == np.int8:
        return array.astype(np.int16), ()
    with np.errstate(over="ignore"):
        out = array.astype(np.float32)
    check_image(out, name)
    return out, () if bool((out == array).all()) else ("rounded_to_float32",)


def _known(array: NDArray[Any], names: Mapping[int, str]) -> bool:
    """Whether every value of whole numbers from 0 to max(names) has a name; a scheme without gaps needs no look."""
    return len(names) == max(names) + 1 or set(np.unique(array).tolist()) <= set(names)


def unit_missing(unit: str | None, name: str) -> ReadError:
    """The error for shear wave without a unit: speeds and moduli have overlapping ranges, so none is guessed."""
    return ReadError("swe_unit", f"{name!r}: state the unit of shear wave, 'm/s' or 'kPa'; found {unit!r}")


def to_labels(
    array: NDArray[Any], name: str, names: Mapping[int, str] = _HOUSE
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Label values as uint8 (z, y, x), and flags. names: the values there may be, 0 to 255.

    Raises ReadError `label_values` with the values found.
    """
    low, high = _extent(array, name, holes=False)
    whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
    if not whole or low < 0 or high > max(names) or not _known(array, names):
        found = np.unique(array)
        shown = ", ".join(f"{v:g}" for v in found[:20]) + (f", ... ({found.size} in all)" if found.size > 20 else "")
        expected = ", ".join(f"{i} {region}" for i, region in sorted(names.items()))
        raise ReadError("label_values", f"{name!r}: expected whole numbers ({expected}), found {shown}")
    flags = ("labels_empty",) if high == 0 else ("labels_constant",) if low == high else ()
    return np.ascontiguousarray(array, dtype=np.uint8), flags
