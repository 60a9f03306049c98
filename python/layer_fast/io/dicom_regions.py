"""Pixel size of an ultrasound picture from its Sequence of Ultrasound Regions (DICOM PS3.3 C.8.5.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import ReadError

_TWO_DIMENSIONAL, _CM = 1, 3
_MM_PER_CM = 10.0
_SAME = 0.01  # relative difference of pixel sizes that counts as equal

Spacing = tuple[float, float]  # (dy, dx) in mm


@dataclass(frozen=True, slots=True)
class Region:
    """A 2D region measured in cm: its box in pixels, upper limits exclusive, and its pixel size."""

    y0: int
    y1: int
    x0: int
    x1: int
    spacing: Spacing


def find(dataset: Any, rows: int, columns: int, name: str) -> list[Region]:
    """All 2D regions in cm. Raises ReadError `region_outside_picture`, `region_spacing`, `dicom_damaged`.

    A box that exceeds the picture, of any kind of region, means that the picture was resized and the pixel sizes were
    not: none of them can be trusted. Some makers write the first pixel outside as the maximum; that is accepted.
    """
    regions: list[Region] = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or []:
        try:
            corner = [int(item.get(f"RegionLocation{key}")) for key in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
            units = [int(item.get(f"PhysicalUnits{axis}Direction", 0)) for axis in "XY"]
            flat = int(item.get("RegionSpatialFormat", 0)) == _TWO_DIMENSIONAL
            deltas = [float(item.get(f"PhysicalDelta{axis}", math.nan)) for axis in "XY"]
        except (TypeError, ValueError):
            raise ReadError("dicom_damaged", f"{name!r}: an ultrasound region lacks a number") from None
        x0, y0, x1, y1 = corner
        if not (0 <= x0 <= x1 <= columns and 0 <= y0 <= y1 <= rows):
            message = (
                f"{name!r}: an ultrasound region reaches to ({x1}, {y1}), the picture has {columns} x {rows} pixels"
            )
            raise ReadError("region_outside_picture", message)
        if flat and units == [_CM, _CM]:
            if not all(math.isfinite(d) and d > 0 for d in deltas):
                raise ReadError("region_spacing", f"{name!r}: the pixel size of a region is not a positive number")
            spacing = (deltas[1] * _MM_PER_CM, deltas[0] * _MM_PER_CM)
            regions.append(Region(y0, min(y1 + 1, rows), x0, min(x1 + 1, columns), spacing))
    return regions


def spacing(dataset: Any, regions: list[Region], stated: Spacing | None, name: str) -> tuple[Spacing, tuple[str, ...]]:
    """(dy, dx) in mm and flags; NaN where neither the file nor the caller (`stated`) knows.

    Raises ReadError `regions_differ` where two regions have other pixel sizes, `spacing_conflict` where the caller
    states another size than the file.
    """
    if stated is not None and not all(math.isfinite(s) and s > 0 for s in stated):
        raise ReadError("spacing_conflict", f"{name!r}: the pixel size stated, {stated}, is not positive")
    found, flags = _from_file(dataset, regions, name)
    if found is None:
        return ((math.nan, math.nan), ("spacing_unknown",)) if stated is None else (stated, ("spacing_stated",))
    if stated is not None and not _equal(found, stated):
        raise ReadError("spacing_conflict", f"{name!r}: the file states pixels of {found} mm, the caller {stated}")
    return found, flags


def _from_file(dataset: Any, regions: list[Region], name: str) -> tuple[Spacing | None, tuple[str, ...]]:
    if regions:
        if not all(_equal(r.spacing, regions[0].spacing) for r in regions):
            raise ReadError("regions_differ", f"{name!r}: {len(regions)} regions have different pixel sizes")
        return regions[0].spacing, ("several_regions",) if len(regions) > 1 else ()
    try:
        dy, dx = (float(v) for v in dataset.get("PixelSpacing") or (0, 0))
    except (TypeError, ValueError):
        raise ReadError("dicom_damaged", f"{name!r}: PixelSpacing is not two numbers") from None
    if dy > 0 and dx > 0 and math.isfinite(dy) and math.isfinite(dx):
        return (dy, dx), ("spacing_from_pixel_spacing",)
    return None, ()


def box(regions: list[Region], rows: int, columns: int, name: str) -> tuple[int, int, int, int]:
    """(y0, y1, x0, x1) of the only region. Raises ReadError `region_count` where there is not exactly one."""
    if len(regions) != 1:
        raise ReadError("region_count", f"{name!r}: {len(regions)} regions in cm, cropping needs exactly one")
    region = regions[0]
    return region.y0, region.y1, region.x0, region.x1


def _equal(a: Spacing, b: Spacing) -> bool:
    return all(abs(x - y) <= _SAME * y for x, y in zip(a, b, strict=True))
