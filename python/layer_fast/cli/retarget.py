"""requantify --target: value rows of a run for another named margin, from its stored logits alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..config import VALUE_METHODS
from ..elsewhere.table import check_out
from ..errors import LayerFastError
from ..quantify import target_of_logits
from ..quantify.game_cells import coalition_values
from ..quantify.stored import rederive
from ..quantify.stored.games import GAME_KEYS, Games
from ..report.style import plain
from .result_files import run_tables, table_of, writing_to
from .run_facts import run_facts


def run_retarget(results: Path, target: str, out: Path | None, *, as_json: bool) -> int:
    path = check_out(out or results / "target.parquet", *run_tables(results))
    with writing_to(results, path):
        found = retarget(results, target, path)
    text = f"{found['target']}: {found['rows']} rows, wrote {found['written']}"
    print(json.dumps(found, sort_keys=True) if as_json else plain(text))
    return 0


def retarget(results: Path, target: str, out: Path) -> dict[str, Any]:
    """Write the rows of layer_shapley and layer_ablation with the columns of layers.parquet for another margin.

    target: "margin:A-B", "margin:A-rest", or of ordered classes "margin:>=A" (`target_of_logits`). `value` and `target`
    are of it, and so is `margin`: that of the coalition of all layers. {"target", "rows", "written"}. Raises
    LayerFastError for what is no margin, classes that a classifier lacks, a run without value methods or of another
    version.
    """
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.csv as csv
    import pyarrow.parquet as parquet

    if not target.startswith("margin:"):
        raise LayerFastError(f"--target: expected a margin, margin:A-B, margin:A-rest or margin:>=A, found {target!r}")
    facts = run_facts(results)
    table = table_of(results / "layers.parquet")
    table = table.filter(compute.is_in(table["method"], pyarrow.array(VALUE_METHODS)))
    if not len(table):
        raise LayerFastError(f"{results}: --target: expected rows of {' or '.join(VALUE_METHODS)}, found none")
    try:
        games = _games(table_of(results / "coalitions.parquet"), facts, target)
    except ValueError as error:
        raise LayerFastError(f"{results}: --target: {error}") from error
    whole = [float(games.values[games.row[key], -1]) for key in _keys(table)]
    table = rederive(table, games)
    for name, column in (("target", pyarrow.array([target] * len(table))), ("margin", pyarrow.array(whole))):
        i = table.column_names.index(name)
        table = table.set_column(i, table.schema.field(i), column.cast(table.schema.field(i).type))
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        if out.suffix.lower() == ".csv":
            csv.write_csv(table, part)
        else:
            parquet.write_table(table, part, compression="zstd")
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return {"target": target, "rows": len(table), "written": str(out)}


def _games(coalitions: Any, facts: dict[str, Any], target: str) -> Games:
    """The margin of every coalition of every stored game."""
    levels = {(p["setup"], p["name"], p["member"]): p["classes"] for p in facts["models"] if p.get("ordinal")}
    values: list[Any] = []
    row: dict[tuple[str, ...], int] = {}
    for (setup, model, member, fill, mask), stored in coalition_values(coalitions).items():
        by_scan: dict[str, dict[str, Any]] = {}
        for (scan, name), logits in stored.items():
            by_scan.setdefault(scan, {})[name] = logits
        for scan, by_class in by_scan.items():
            row[scan, model, member, setup, fill, mask] = len(values)
            values.append(target_of_logits(by_class, target, levels=levels.get((setup, model, member))))
    return Games(np.stack(values), row)


def _keys(table: Any) -> list[tuple[str, ...]]:
    return list(zip(*(table.column(name).to_pylist() for name in GAME_KEYS), strict=True))
