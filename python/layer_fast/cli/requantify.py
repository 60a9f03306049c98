"""requantify: numbers of a run recomputed from its tables, without a volume."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..elsewhere.table import check_out
from ..errors import LayerFastError
from ..quantify import REDUCTIONS, Reduction, Settings
from ..quantify.beside_tables import scans_by_id
from ..quantify.cohort import Subjects, subjects_of
from ..quantify.folds import compares_scans
from ..quantify.reduction import distinct
from ..quantify.stored import StoredMaps, games_of, long_tables, rederive, stored_maps
from ..report.style import plain
from ..tables import EVALUATED_COLUMNS, LAYER_COLUMNS, arrow_schema
from .quantify import definitions_of
from .result_files import layers_of, opened, run_tables, table_of, writing, writing_to
from .run_facts import cell_classes, model_classes, run_facts


def run_requantify(results: Path, definitions: tuple[str, ...] | None, out: Path | None, *, as_json: bool) -> int:
    if definitions is None and out is None:
        found = recompute(results)
    else:
        words = definitions or tuple(REDUCTIONS)
        chosen = distinct([one for word in words for one in definitions_of(word)], "--definition")
        target = check_out(out or results / "definitions.parquet", *run_tables(results))
        with writing_to(results, target):
            found = evaluate_definitions(results, chosen, target)
    lines = [json.dumps(found, sort_keys=True)] if as_json else [plain(line) for line in _text(found).split("\n")]
    print("\n".join(lines))
    return 0


def recompute(results: Path) -> dict[str, Any]:
    """Everything in layers.parquet that follows from its sums and from coalitions.parquet, compared bit by bit.

    {"identical", "rows", "differing": {column: rows}, "written"}; where a column differs the table is written anew in
    one step. Raises LayerFastError for results of another version and tables that do not fit each other.
    """
    import pyarrow.parquet as parquet

    facts = run_facts(results)
    source = results / "layers.parquet"
    kind = facts["config"]["target"]
    targets = {(p["setup"], p["name"], p["member"]): model_classes(p)
               for p in facts["models"] if p["target"] is not None}  # fmt: skip
    differing: Counter[str] = Counter()
    with writing(results), opened(source) as file:
        games = games_of(table_of(results / "coalitions.parquet"), targets, kind)
        part = source.with_name(f".{source.name}.{os.getpid()}.tmp")
        try:
            with parquet.ParquetWriter(part, arrow_schema(LAYER_COLUMNS), compression="zstd") as writer:
                for group in range(file.num_row_groups):
                    old = file.read_row_group(group)
                    new = rederive(old, games)
                    differing.update(_differing(old, new))
                    writer.write_table(new)
            if differing:
                with open(part, "rb") as whole:
                    os.fsync(whole.fileno())
                os.replace(part, source)
        finally:
            part.unlink(missing_ok=True)
        rows, changed = file.metadata.num_rows, dict(sorted(differing.items()))
        written = str(source) if differing else None
        return {"identical": not differing, "rows": rows, "differing": changed, "written": written}


def _differing(old: Any, new: Any) -> dict[str, int]:
    """Rows per column whose bits differ; NaN is a value here, null another."""
    out = {}
    for name in old.column_names:
        a, b = old.column(name).combine_chunks(), new.column(name).combine_chunks()
        if str(a.type) == "double":
            nothing = np.asarray(a.is_null()) != np.asarray(b.is_null())
            x, y = (np.asarray(c.fill_null(0.0)).view(np.int64) for c in (a, b))
            n = int(((x != y) | nothing).sum())
        else:
            n = 0 if a.equals(b) else sum(p != q for p, q in zip(a.to_pylist(), b.to_pylist(), strict=True))
        if n:
            out[name] = n
    return out


def evaluate_definitions(results: Path, definitions: list[Reduction], out: Path) -> dict[str, Any]:
    """Write the long table of definitions on all stored maps: {"rows", "how": {definition: {how: rows}}, "written"}."""
    import pyarrow.csv as csv
    import pyarrow.parquet as parquet

    schema = arrow_schema(EVALUATED_COLUMNS)
    part = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    how: dict[str, Counter[str]] = {one.name: Counter() for one in definitions}
    reasons: dict[str, set[str]] = {one.name: set() for one in definitions}
    is_csv = out.suffix.lower() == ".csv"
    try:
        with csv.CSVWriter(part, schema) if is_csv else parquet.ParquetWriter(part, schema, compression="zstd") as file:
            for table in _tables(results, definitions, schema):
                name = table.column("definition")[0].as_py()
                for entry in table.column("how").value_counts().to_pylist():
                    how[name][entry["values"]] += entry["counts"]
                reasons[name] |= {text for text in table.column("reason").unique().to_pylist() if text}
                file.write_table(table)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    rows = sum(sum(counts.values()) for counts in how.values())
    counted = {name: dict(sorted(c.items())) for name, c in how.items()}
    why = {name: sorted(found) for name, found in reasons.items() if found}
    return {"rows": rows, "how": counted, "reasons": why, "written": str(out)}


def _tables(results: Path, definitions: list[Reduction], schema: Any) -> Iterator[Any]:
    facts = run_facts(results)
    by_scan = scans_by_id(table_of(results / "scans.parquet"))
    classes = cell_classes(facts)
    mixed = [one.name for one in definitions if compares_scans(one)]
    if "fold_map" in facts and mixed:
        raise LayerFastError(f"--definition {mixed[0]}: a number of several scans' maps, which are of each fold's own "
                             f"model here and have no common scale")  # fmt: skip

    def subjects(maps: StoredMaps) -> Subjects:
        return subjects_of(maps.cell, by_scan, Settings(*classes[maps.cell.key["target"]]))

    for maps in stored_maps(layers_of(results), **kept_tables(results, definitions)):
        yield from long_tables(maps, definitions, subjects, schema)


def kept_tables(results: Path, definitions: list[Reduction]) -> dict[str, Any]:
    """histograms and slices, read only where a definition may ask for them and the run kept them."""
    from ..quantify.stored.exact import OF_MOMENTS

    by_slice = [one for one in definitions if one.normalise.scope == "slice" or one.hierarchy.slices is not None]
    ordered = [one for one in definitions if one not in by_slice and (
        one.statistic.name not in OF_MOMENTS or one.clip or one.sign != "none" or one.normalise.kind == "rank"
        or one.statistic.name == "pointing_game")]  # fmt: skip
    wanted = {"histograms": ordered, "slices": by_slice}
    return {name: table_of(results / f"{name}.parquet") for name, asked in wanted.items()
            if asked and (results / f"{name}.parquet").is_file()}  # fmt: skip


def _text(found: dict[str, Any]) -> str:
    if "how" in found:
        lines = []
        for name, counts in found["how"].items():
            said = ", ".join(f"{n} {how}" for how, n in counts.items())
            lines.append(f"{name}: {said}" + "".join(f"; {why}" for why in found.get("reasons", {}).get(name, [])))
        return "\n".join([*lines, f"wrote {found['written']}"])
    if found["identical"]:
        return f"identical: {found['rows']} rows of layers.parquet follow bit by bit from what is stored"
    said = ", ".join(f"{name} ({n})" for name, n in found["differing"].items())
    print(f"layer-fast: differing rows: {said}", file=sys.stderr)
    return f"written anew: {found['written']}"
