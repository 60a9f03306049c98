"""The tables of a run: their columns, types and units, and how records become Parquet.

Tables are derived from records in the order of the cohort table, so the same records give the same bytes.
docs/tables.md explains every column; a test holds the two together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .types import ScanRecord, ScanRef

if TYPE_CHECKING:
    import pyarrow

SCHEMA_VERSION = 3
_BATCH = 64  # scans per row group: bounds the memory of writing

# name: (Arrow type, unit or "")
LAYER_COLUMNS: dict[str, tuple[str, str]] = {
    "scan_id": ("string", ""), "subject": ("string", ""), "label": ("string", ""),
    "model": ("string", ""), "member": ("string", ""), "setup": ("string", ""), "method": ("string", ""),
    "fill": ("string", ""), "target": ("string", ""), "mask": ("string", ""), "channel": ("string", ""),
    "margin": ("float64", "logit"), "residual": ("float64", "target"),
    "region": ("string", ""), "region_kind": ("string", ""), "label_value": ("int8", ""),
    "present": ("bool", ""), "n_voxels": ("int64", "voxel"), "volume_mm3": ("float64", "mm^3"),
    "thickness_mm": ("float64", "mm"),
    "sum": ("float64", "map"), "sum_sq": ("float64", "map^2"), "sum_abs": ("float64", "map"),
    "sum_pos": ("float64", "map"), "min": ("float64", "map"), "max": ("float64", "map"),
    "mean": ("float64", "map"), "std": ("float64", "map"),
    "mean_minmax_volume": ("float64", "1"), "share_of_labelled": ("float64", "1"),
    "share_of_all": ("float64", "1"), "enrichment": ("float64", "1"),
    "value": ("float64", "target"), "unresolved": ("bool", ""), "exposure": ("string", ""), "flags": ("string", ""),
}  # fmt: skip
COALITION_COLUMNS: dict[str, tuple[str, str]] = {
    "scan_id": ("string", ""), "subject": ("string", ""), "label": ("string", ""),
    "model": ("string", ""), "member": ("string", ""), "setup": ("string", ""), "fill": ("string", ""),
    "output": ("string", ""), "mask": ("string", ""), "values": ("list", "logit"),
}  # fmt: skip
_MAP_KEYS: dict[str, tuple[str, str]] = {
    "scan_id": ("string", ""), "subject": ("string", ""), "label": ("string", ""),
    "model": ("string", ""), "member": ("string", ""), "setup": ("string", ""), "method": ("string", ""),
    "fill": ("string", ""), "target": ("string", ""), "mask": ("string", ""), "channel": ("string", ""),
    "region": ("string", ""), "label_value": ("int8", ""),
}  # fmt: skip
HISTOGRAM_COLUMNS: dict[str, tuple[str, str]] = {
    **_MAP_KEYS, "mantissa_bits": ("int8", ""), "n_voxels": ("int64", "voxel"),
    "bins": ("int_list", ""), "counts": ("int_list", "voxel"),
}  # fmt: skip
SLICE_COLUMNS: dict[str, tuple[str, str]] = {
    **_MAP_KEYS, "axis": ("string", ""), "count": ("int_list", "voxel"),
    "sum": ("list", "map"), "sum_sq": ("list", "map^2"), "sum_abs": ("list", "map"), "sum_pos": ("list", "map"),
    "min": ("list", "map"), "max": ("list", "map"),
}  # fmt: skip
EVALUATED_COLUMNS: dict[str, tuple[str, str]] = {  # what `layer-fast requantify --definition` writes
    **_MAP_KEYS, "region_kind": ("string", ""), "n_voxels": ("int64", "voxel"),
    "definition": ("string", ""), "definition_sha256": ("string", ""), "statistic": ("string", ""),
    "value": ("float64", "units"), "error_bound": ("float64", "units"), "units": ("string", ""),
    "how": ("string", ""), "reason": ("string", ""),
}  # fmt: skip
STORED_COLUMNS = {"histograms": HISTOGRAM_COLUMNS, "slices": SLICE_COLUMNS}  # written where the options keep them
GUARD_COLUMNS: dict[str, tuple[str, str]] = {
    "scan_id": ("string", ""), "subject": ("string", ""), "label": ("string", ""),
    "model": ("string", ""), "member": ("string", ""), "setup": ("string", ""), "method": ("string", ""),
    "fill": ("string", ""), "target": ("string", ""), "mask": ("string", ""), "channel": ("string", ""),
    "variant": ("string", ""), "region": ("string", ""), "label_value": ("int8", ""), "n_voxels": ("int64", "voxel"),
    "dice": ("float64", "1"),
    "value": ("float64", "map or target"), "leakage_in": ("float64", "1"), "leakage_from": ("string", ""),
    "border_share": ("float64", "1"), "border_mean": ("float64", "map"), "core_mean": ("float64", "map"),
    "null_mean": ("float64", "map"), "null_p": ("float64", "1"), "null_n": ("int32", ""), "flags": ("string", ""),
}  # fmt: skip
SCAN_COLUMNS: dict[str, tuple[str, str]] = {
    "scan_id": ("string", ""), "subject": ("string", ""), "label": ("string", ""), "label_type": ("string", ""),
    "label_unit": ("string", ""), "fold": ("string", ""),
    "status": ("string", ""), "code": ("string", ""), "step": ("string", ""), "message": ("string", ""),
    "flags": ("string", ""), "exposure": ("string", ""),
    "margin_bmode": ("float64", "logit"), "margin_swe": ("float64", "logit"), "margin_both": ("float64", "logit"),
    "mask": ("string", ""), "shape_z": ("int32", "voxel"), "shape_y": ("int32", "voxel"), "shape_x": ("int32", "voxel"),
    "spacing_z_mm": ("float64", "mm"), "spacing_y_mm": ("float64", "mm"), "spacing_x_mm": ("float64", "mm"),
    "swe_valid_fraction": ("float64", "1"),
    "sha256_bmode": ("string", ""), "sha256_swe": ("string", ""), "sha256_mask": ("string", ""), "key": ("string", ""),
}  # fmt: skip


def strata_columns(refs: Iterable[ScanRef]) -> tuple[str, ...]:
    """Names of the user's own columns, in order of first appearance; a name of ours gets the prefix "table_"."""
    names: dict[str, None] = {}
    for ref in refs:
        names.update(dict.fromkeys(ref.strata))
    return tuple(names)


def strata_name(name: str) -> str:
    return f"table_{name}" if name in SCAN_COLUMNS else name


def scan_row(ref: ScanRef, record: ScanRecord, strata: tuple[str, ...]) -> dict[str, Any]:
    """One row of scans.parquet. What the table says of a scan comes from the table, not from an older record."""
    return {
        **dict.fromkeys(SCAN_COLUMNS),
        **record.scan,
        "scan_id": ref.scan_id, "subject": ref.subject, "label": ref.label, "label_type": ref.label_type,
        "label_unit": ref.label_unit, "fold": ref.fold,
        "status": record.status, "code": record.code, "step": record.step, "message": record.message,
        "flags": ";".join(record.flags), "key": record.key,
        **{strata_name(name): ref.strata.get(name) for name in strata},
    }  # fmt: skip


def write_tables(
    out: Path,
    pairs: Iterable[tuple[ScanRef, ScanRecord]],
    strata: tuple[str, ...],
    store: tuple[str, ...] = (),
) -> None:
    """Write scans.parquet, layers.parquet, coalitions.parquet, guards.parquet and those of `store`, each replaced in
    one step. A table of STORED_COLUMNS that is not kept is removed: it would be another run's."""
    scan_columns = {**SCAN_COLUMNS, **{strata_name(name): ("string", "") for name in strata}}
    for name in set(STORED_COLUMNS) - set(store):
        (out / f"{name}.parquet").unlink(missing_ok=True)
    with ExitStack() as files:
        scans = files.enter_context(_Table(out / "scans.parquet", scan_columns))
        always = {"layers": LAYER_COLUMNS, "coalitions": COALITION_COLUMNS, "guards": GUARD_COLUMNS}
        wanted = always | {name: STORED_COLUMNS[name] for name in store}
        tables = {name: files.enter_context(_Table(out / f"{name}.parquet", of)) for name, of in wanted.items()}
        for batch in _batches(pairs):
            scans.write([scan_row(ref, record, strata) for ref, record in batch])
            for name, table in tables.items():
                table.write([{**row, **_identity(ref)} for ref, record in batch for row in getattr(record, name)])


def _identity(ref: ScanRef) -> dict[str, Any]:
    return {"scan_id": ref.scan_id, "subject": ref.subject, "label": ref.label}


def _batches(pairs: Iterable[tuple[ScanRef, ScanRecord]]) -> Iterator[list[tuple[ScanRef, ScanRecord]]]:
    batch = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class _Table:
    """A Parquet file that appears under its name only when it is whole."""

    def __init__(self, path: Path, columns: dict[str, tuple[str, str]]) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._columns = columns

    def __enter__(self) -> _Table:
        import pyarrow.parquet as parquet

        self._schema = arrow_schema(self._columns)
        self._writer = parquet.ParquetWriter(self._part, self._schema, compression="zstd")
        return self

    def write(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow

        for row in rows[:1]:
            unknown = sorted(set(row) - set(self._columns))
            if unknown:
                raise ValueError(f"[{self._path.name}] columns without a place in the schema: {unknown}")
        self._writer.write_table(pyarrow.Table.from_pylist(rows, schema=self._schema))

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._writer.close()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        with open(self._part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self._path)


def arrow_schema(columns: dict[str, tuple[str, str]]) -> pyarrow.Schema:
    """The Arrow schema of a table, units in the field metadata, the version in the schema metadata."""
    import pyarrow

    kinds = {
        "string": pyarrow.string(), "int8": pyarrow.int8(), "int32": pyarrow.int32(), "int64": pyarrow.int64(),
        "float64": pyarrow.float64(), "bool": pyarrow.bool_(), "list": pyarrow.list_(pyarrow.float64()),
        "int_list": pyarrow.list_(pyarrow.int64()),
    }  # fmt: skip
    fields = [
        pyarrow.field(name, kinds[kind], metadata={"unit": unit} if unit else None)
        for name, (kind, unit) in columns.items()
    ]
    return pyarrow.schema(fields, metadata={"layer_fast_schema": str(SCHEMA_VERSION)})
