"""The table of one map as a file, CSV or Parquet, written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import write_atomic
from ..tables import arrow_schema
from .api import MapTable

# name: (Arrow type, unit or "")
MAP_COLUMNS: dict[str, tuple[str, str]] = {
    "map": ("string", ""), "mask": ("string", ""), "channel": ("string", ""),
    "definition": ("string", ""), "definition_sha256": ("string", ""), "statistic": ("string", ""),
    "region": ("string", ""), "region_kind": ("string", ""), "label_value": ("int32", ""), "present": ("bool", ""),
    "n_voxels": ("int64", "voxel"), "weight": ("float64", "voxel"), "volume_mm3": ("float64", "mm^3"),
    "value": ("float64", "units"), "units": ("string", ""), "cap": ("float64", "units"),
    "chance": ("float64", "units"), "across_layers": ("string", ""), "flags": ("string", ""),
}  # fmt: skip
_FORMATS = (".csv", ".parquet")


def check_out(out: str | os.PathLike[str], *inputs: str | os.PathLike[str]) -> Path:
    """The path of a table that may be written: .csv or .parquet, in a folder that is there, not one of the inputs.

    Raises ConfigError. To be asked before the work is done.
    """
    path = Path(out)
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{path}: expected a name ending in {' or '.join(_FORMATS)}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: expected an existing folder, found none: {path.parent}")
    if path.is_dir():
        raise ConfigError(f"{path}: expected a file, found a folder")
    for given in inputs:
        if path.exists() and path.samefile(given):
            raise ConfigError(f"{path}: expected another file than the input {given}")
    return path


def write_table(table: MapTable, out: str | os.PathLike[str]) -> Path:
    """Write the rows; a Parquet file holds the facts, definitions included, in its metadata as `layer_fast_quantify`.

    In CSV a number that was computed and does not exist is NaN, one that was not computed is empty.
    """
    path = check_out(out)
    data = _csv(table) if path.suffix.lower() == ".csv" else _parquet(table)
    write_atomic(path, data)
    return path


def _csv(table: MapTable) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MAP_COLUMNS)
    writer.writerows([_cell(row[name]) for name in MAP_COLUMNS] for row in table.rows)
    return text.getvalue().encode("utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "NaN" if value != value else repr(value)
    return str(value)


def _parquet(table: MapTable) -> bytes:
    import pyarrow
    import pyarrow.parquet as parquet

    schema = arrow_schema(MAP_COLUMNS)
    facts = json.dumps(table.facts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    schema = schema.with_metadata({**schema.metadata, b"layer_fast_quantify": facts.encode("ascii")})
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(table.rows, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())
