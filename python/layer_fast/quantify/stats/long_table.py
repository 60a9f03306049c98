"""The tidy long table for mixed models: one row per scan, analysis and region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..regions import NUM_REGIONS, REGION_ORDER
from ..tables import CELL_KEYS, Cell
from .frame import Analysis, Frame
from .strata import CORRECTNESS, class_rows, positive_rows

# name: (Arrow type, unit, meaning); the columns of `strata` follow as text
LONG_COLUMNS: dict[str, tuple[str, str, str]] = {
    "subject": ("string", "", "the person: the group of a mixed model"),
    "scan_id": ("string", "", "one acquisition"),
    "label": ("string", "", "class of the scan as the cohort table gives it; null where it has none"),
    "label_unit": ("string", "", "what the label belongs to: scan, side or subject"),
    **{name: ("string", "", f"{name} of layers.parquet") for name in CELL_KEYS},
    "definition": ("string", "", "what `value` is; see definitions.md"),
    "region": ("string", "", "name of the region"),
    "region_kind": ("string", "", "background, layer or group"),
    "present": ("bool", "", "the mask holds at least one voxel of the region"),
    "n_voxels": ("int64", "voxel", "voxels of the region"),
    "thickness_mm": ("float64", "mm", "of layers.parquet; null for background and groups"),
    "value": ("float64", "units", "the number of the definition; NaN where it has none"),
    "units": ("string", "", "unit of `value`"),
    "margin": ("float64", "logit", "this classifier's margin for the scan"),
    "correctness": ("string", "", "true positive, false negative, true negative or false positive by the sign of the "
                    "margin; null for other labels and for a margin of 0 or none"),
}  # fmt: skip


def long_table(frame: Frame, found: Sequence[Cell], layers: Any, strata: Sequence[str] = ()) -> Any:
    """A pyarrow Table of the columns `LONG_COLUMNS` and `strata` (columns of the scans), analysis by analysis.

    layers: the pyarrow Table that the cells `found` index; frame: made of them. ValueError for a stratum that is not a
    column of the scans or has the name of one of ours.
    """
    import pyarrow

    schema = _schema(frame, strata)
    return pyarrow.concat_tables([schema.empty_table(), *_parts(frame, found, layers, schema)])


def write_long(
    frame: Frame, found: Sequence[Cell], layers: Any, strata: Sequence[str] = (), kind: str = ".parquet"
) -> bytes:
    """The bytes of `long_table`, one analysis in memory at a time; kind ".parquet" or ".csv" (NaN as nan, null as an
    empty field)."""
    import pyarrow
    import pyarrow.csv as csv
    import pyarrow.parquet as parquet

    schema, sink = _schema(frame, strata), pyarrow.BufferOutputStream()
    if kind == ".parquet":
        writer = parquet.ParquetWriter(sink, schema, compression="zstd")
    else:
        writer = csv.CSVWriter(sink, schema, write_options=csv.WriteOptions(quoting_style="needed"))
    with writer:
        for part in _parts(frame, found, layers, schema):
            writer.write_table(part)
    return bytes(sink.getvalue())


def _schema(frame: Frame, strata: Sequence[str]) -> Any:
    import pyarrow

    fields = []
    for name, (kind, unit, _) in LONG_COLUMNS.items():
        fields.append(pyarrow.field(name, getattr(pyarrow, kind + "_" * (kind == "bool"))(), metadata={"unit": unit}))
    for name in dict.fromkeys(strata):
        if name in LONG_COLUMNS or (frame.rows and name not in frame.rows[0]):
            raise ValueError(f"[long] strata: expected another column of the scans, got {name!r}")
        fields.append(pyarrow.field(name, pyarrow.string()))
    return pyarrow.schema(fields)


def _parts(frame: Frame, found: Sequence[Cell], layers: Any, schema: Any) -> Iterator[Any]:
    import pyarrow

    thick = _thickness(layers)
    strata = [name for name in schema.names if name not in LONG_COLUMNS]
    for a, cell in _cells(frame, found):
        yield pyarrow.table(_columns(frame, a, cell, thick, strata, schema), schema=schema)


def _cells(frame: Frame, found: Sequence[Cell]) -> Iterator[tuple[int, Cell]]:
    """The analyses of the frame in their order, each with its cell."""
    by_key = {tuple(cell.key[name] for name in CELL_KEYS): cell for cell in found}
    for a, one in enumerate(frame.analyses):
        yield a, by_key[tuple(one.key[name] for name in CELL_KEYS)]


def _thickness(layers: Any) -> Any:
    """(values, null) of the column, or None where the table has none."""
    if "thickness_mm" not in layers.column_names:
        return None
    column = layers.column("thickness_mm")
    null = column.is_null().to_numpy()
    return np.asarray(column.fill_null(float("nan")).to_numpy(), dtype=np.float64), np.asarray(null)


def _columns(frame: Frame, a: int, cell: Cell, thick: Any, strata: Sequence[str], schema: Any) -> list[Any]:
    import pyarrow

    one = frame.analyses[a]
    place = {name: i for i, name in enumerate(frame.scan_ids)}
    pairs = sorted((place[name], i) for i, name in enumerate(cell.scan_ids) if name in place)
    scan, source = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    positions = cell.positions[source].ravel()
    each = np.repeat(scan, NUM_REGIONS)
    numbers: dict[str, Any] = {
        "present": cell.matrix("present")[source].ravel() == 1.0,
        "n_voxels": np.nan_to_num(cell.matrix("n_voxels")[source].ravel()).astype(np.int64),
        "thickness_mm": (np.full(len(each), np.nan), np.ones(len(each), bool)) if thick is None
        else (thick[0][positions], thick[1][positions]),
        "value": frame.values[scan, a].ravel(), "margin": frame.margins[each, a],
    }  # fmt: skip
    texts = {**_texts(frame, one, a, each), **{name: _of_rows(frame, name, each) for name in strata}}
    out = []
    for field in schema:
        if field.name in texts:
            codes, names = texts[field.name]
            null = codes < 0
            indices = pyarrow.array(np.where(null, 0, codes).astype(np.int32), mask=null)
            out.append(pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(names, field.type)).cast(field.type))
        else:
            given = numbers[field.name]
            values, mask = given if isinstance(given, tuple) else (given, None)
            out.append(pyarrow.array(values, field.type, mask=mask, from_pandas=False))
    return out


Coded = tuple[NDArray[np.int64], list[str]]


def _texts(frame: Frame, one: Analysis, a: int, each: NDArray[np.int64]) -> dict[str, Coded]:
    """Codes (-1: null) and names of every text column of ours."""
    regions = np.tile(np.arange(NUM_REGIONS), len(each) // NUM_REGIONS)
    constant = {**{name: one.key[name] for name in CELL_KEYS}, "definition": one.definition, "units": one.units}
    positive = positive_rows(frame, one.positive)
    known = class_rows(frame, one.positive, one.negative)
    margin = frame.margins[:, a]
    correct = np.full(len(frame.rows), -1, dtype=np.int64)
    for code, (truth, said) in enumerate(CORRECTNESS.values()):
        correct[known & (positive == truth) & ((margin > 0) if said else (margin < 0))] = code
    return {
        "subject": (frame.subject[each], list(frame.subjects)),
        "scan_id": (each, list(frame.scan_ids)),
        "label": _of_rows(frame, "label", each),
        "label_unit": _of_rows(frame, "label_unit", each, "subject"),
        **{name: (np.zeros(len(each), dtype=np.int64), [value]) for name, value in constant.items()},
        "region": (regions, [r.name for r in REGION_ORDER]),
        "region_kind": (regions, [r.kind for r in REGION_ORDER]),
        "correctness": (correct[each], list(CORRECTNESS)),
    }


def _of_rows(frame: Frame, column: str, each: NDArray[np.int64], missing: str | None = None) -> Coded:
    values = [row.get(column) for row in frame.rows]
    texts = [missing if v is None or v == "" else str(v) for v in values]
    names = sorted({t for t in texts if t is not None})
    known = {name: i for i, name in enumerate(names)}
    codes = np.array([-1 if t is None else known[t] for t in texts], dtype=np.int64)
    return codes[each], names
