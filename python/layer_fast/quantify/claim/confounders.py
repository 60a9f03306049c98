"""What is known of a subject beside the content of the layers: geometry, shear-wave holes, person, acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cohort import Subjects
from ..regions import LAYER_ROWS, REGION_ORDER
from ..tables import Cell, to_float

Float = NDArray[np.float64]
Rows = Mapping[str, Mapping[str, Any]]
PERSON_NUMBERS, PERSON_WORDS = ("age", "bmi"), ("sex",)
ACQUISITION = ("centre", "scanner", "transducer", "preset", "operator")
GRID = tuple(f"{what}_{axis}{unit}" for what, unit in (("shape", ""), ("spacing", "_mm")) for axis in "zyx")


def confounder_sets(cell: Cell, subjects: Subjects, scans: Rows) -> dict[str, tuple[tuple[str, ...], Float]]:
    """Sets of features by name: names of the columns and (subjects, F) means over each subject's scans, NaN where the
    tables do not say. A set whose columns are not in the tables, or say nothing, is left out.

    thickness: mean thickness of the six layers, mm. size: log(1 + volume) and thickness of all layers together.
    mask_only: thicknesses, log(1 + volume) of each layer and which are there. swe_holes: share of voxels with a
    shear-wave value. person: age, body mass index, sex. acquisition: centre, scanner, transducer, preset, operator,
    voxels and spacing of the grid. everything: all of them. Words become one column per word but the first: the share
    of the subject's scans that have it.
    """
    rows = [scans.get(scan_id, {}) for scan_id in cell.scan_ids]
    thickness, mask = _thickness(cell), _mask_only(cell)
    found = {
        "thickness": thickness,
        "size": _size(cell),
        "mask_only": {**thickness, **mask} if mask else {},
        "swe_holes": _numbers(rows, ("swe_valid_fraction",)),
        "person": {**_numbers(rows, PERSON_NUMBERS), **_words(rows, PERSON_WORDS)},
        "acquisition": {**_words(rows, ACQUISITION), **_numbers(rows, GRID)},
    }
    found["everything"] = {name: column for columns in found.values() for name, column in columns.items()}
    out = {}
    for name, columns in found.items():
        if columns:
            x = subjects.mean(np.stack(list(columns.values()), axis=1))
            said = np.asarray(~np.isnan(x).all(axis=0))
            if said.any():
                out[name] = tuple(c for c, one in zip(columns, said.tolist(), strict=True) if one), x[:, said]
    return out


def adjusting_columns(cell: Cell, subjects: Subjects, scans: Rows, layer: int) -> tuple[tuple[str, ...], Float]:
    """What a layer's contrast is adjusted for, (subjects, <= 3): its thickness, its depth (the thickness of the layers
    above it together, an absent one 0), and the body mass index where the table has it."""
    thickness = cell.matrix("thickness_mm")
    above = np.where(np.isnan(thickness), 0.0, thickness)[:, 1:layer].sum(axis=1)
    columns = {"thickness": thickness[:, layer], "depth": above}
    columns |= _numbers([scans.get(scan_id, {}) for scan_id in cell.scan_ids], ("bmi",))
    x = subjects.mean(np.stack(list(columns.values()), axis=1))
    said = np.asarray(~np.isnan(x).all(axis=0))
    return tuple(c for c, one in zip(columns, said.tolist(), strict=True) if one), x[:, said]


def _thickness(cell: Cell) -> dict[str, Float]:
    if "thickness_mm" not in cell.table:
        return {}
    found = cell.matrix("thickness_mm")
    return {f"thickness_{REGION_ORDER[k].name}": found[:, k] for k in LAYER_ROWS}


def _mask_only(cell: Cell) -> dict[str, Float]:
    if "volume_mm3" not in cell.table:
        return {}
    volume, present = cell.matrix("volume_mm3"), cell.matrix("present")
    sizes = {f"log_volume_{REGION_ORDER[k].name}": np.log1p(volume[:, k]) for k in LAYER_ROWS}
    return {**sizes, **{f"present_{REGION_ORDER[k].name}": present[:, k] for k in LAYER_ROWS}}


def _size(cell: Cell) -> dict[str, Float]:
    if "volume_mm3" not in cell.table:
        return {}
    layers = list(LAYER_ROWS)
    whole = cell.matrix("volume_mm3")[:, layers].sum(axis=1)
    return {"log_volume": np.log1p(whole), "thickness": np.nansum(cell.matrix("thickness_mm")[:, layers], axis=1)}


def _numbers(rows: list[Mapping[str, Any]], names: tuple[str, ...]) -> dict[str, Float]:
    """The columns that any row has; a text that is no number counts as missing."""
    return {name: to_float([_number(row.get(name)) for row in rows]) for name in names if any(name in r for r in rows)}


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None


def _words(rows: list[Mapping[str, Any]], names: tuple[str, ...]) -> dict[str, Float]:
    """One column per word but the first, which follows from the others; NaN where the table is silent."""
    out: dict[str, Float] = {}
    for name in names:
        given = [str(row.get(name) or "") for row in rows]
        for word in sorted(set(given) - {""})[1:]:
            out[f"{name}={word}"] = np.array([np.nan if w == "" else float(w == word) for w in given])
    return out
