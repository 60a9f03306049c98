"""One row of the cohort table read into memory: all its volumes and masks, on one grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import ReadError, StepFailure
from ..types import Scan, ScanRef, Volume
from . import geometry as geo
from .reading import format_of, read, read_labels
from .values import to_working

READING_COLUMNS = ("pixel_spacing_mm",)  # further columns of the table that change what is read; part of a record's key


def read_scan(
    ref: ScanRef, *, geometry: geo.Policy = "refuse", tolerance_mm: float = geo.TOLERANCE_MM, threads: int | None = None
) -> Scan:
    """Read every file of `ref` and hold it to the geometry policy.

    B-mode comes as uint8, int16, uint16 or float32, the dtypes that the ops take. The grid is the B-mode volume's, or
    the shear wave's where there is no B-mode. Under "resample" volumes are not moved: each that lies elsewhere adds the
    flag `resample:NAME`, and `geometry.grid_maps(scan)` gives the maps that bring them onto `scan.grid`. Flags of a
    volume come back as `NAME:FLAG`.
    The column `pixel_spacing_mm` (one number, or "dy x dx") gives the pixel size of a DICOM picture that states none.
    threads: as `read` has it.
    Raises ReadError for a file, StepFailure `geometry_mismatch` or `no_volume` for the scan.
    """
    geo.check_options(geometry, tolerance_mm)
    volumes: dict[str, Volume] = {}
    if ref.bmode is not None:
        bmode = read(ref.bmode, modality="bmode", pixel_mm=_pixel_mm(ref, ref.bmode), threads=threads)
        array, more = to_working(bmode.array, ref.bmode.name)
        volumes["bmode"] = replace(bmode, array=array, flags=(*bmode.flags, *more))
    if ref.swe is not None:
        volumes["swe"] = read(ref.swe, modality="swe", unit=ref.swe_unit, threads=threads)
    if not volumes:
        raise StepFailure("no_volume", f"scan {ref.scan_id!r} names no bmode and no swe file", input_at_fault=True)
    masks = {source: read_labels(path) for source, path in ref.masks.items()}
    everything = {**volumes, **{f"mask:{source}": mask for source, mask in masks.items()}}
    scan = Scan(ref, volumes, masks, {key: v.sha256 for key, v in everything.items()})
    flags = [f"{key}:{flag}" for key, v in everything.items() for flag in v.flags]
    for key, volume in everything.items():
        if geo.check(scan.grid, volume, key, policy=geometry, tolerance_mm=tolerance_mm) is not None:
            flags.append(f"resample:{key}")
    if len(volumes) == 2 and volumes["bmode"].sha256 == volumes["swe"].sha256:
        raise ReadError("same_file", f"scan {ref.scan_id!r} names the same bytes as bmode and as swe")
    return Scan(ref, volumes, masks, scan.input_sha256, tuple(flags))


def _pixel_mm(ref: ScanRef, path: Path) -> tuple[float, float] | None:
    text = ref.strata.get("pixel_spacing_mm", "")
    if not text or format_of(path) != "dicom":  # every other format states its own
        return None
    try:
        sizes = [float(part) for part in text.lower().split("x")]
    except ValueError:
        sizes = []
    if len(sizes) not in (1, 2):
        message = f"scan {ref.scan_id!r}: pixel_spacing_mm is {text!r}, expected one number or two as '0.2 x 0.1'"
        raise StepFailure("pixel_spacing", message, input_at_fault=True)
    return sizes[0], sizes[-1]
