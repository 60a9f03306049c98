"""compare: every definition on the stored tables of a run, and which conclusions change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import quantify
from ..errors import LayerFastError
from ..files import write_atomic
from ..quantify.reduction import distinct
from ..quantify.tables import read_layers
from ..report.style import number, plain
from ..report.terminal import grid
from .quantify import definitions_of
from .requantify import kept_tables
from .summary_files import classifier_facts, run_facts

QUESTIONS = {"top_mean": "highest layer (mean)", "top_contrast": "largest class contrast", "muscle": "muscle or not"}


def run_compare(results: Path, definitions: tuple[str, ...] | None, *, as_json: bool) -> int:
    chosen = None
    if definitions is not None:
        chosen = distinct([one for word in definitions for one in definitions_of(word)], "--definition")
    found = write_compare(results, definitions=chosen)
    print(json.dumps(found, sort_keys=True) if as_json else _text(found))
    return 0


def write_compare(
    results: Path, layers: Any = None, *, definitions: list[quantify.Reduction] | None = None
) -> dict[str, Any]:
    """compare.json from the tables of a run. layers: its cells, where they are at hand. definitions: None takes all
    presets that follow from layers.parquet; named ones read histograms and slices too, where the run kept them."""
    import pyarrow.parquet as parquet

    run_facts(results)
    for name in ("layers.parquet", "scans.parquet"):
        if not (results / name).is_file():
            raise LayerFastError(f"{results}: expected the results of a run, found no {name}")
    rows = read_layers(results / "layers.parquet") if layers is None else layers
    kept = {} if definitions is None else kept_tables(results, definitions)
    scans = parquet.read_table(results / "scans.parquet")
    found = quantify.compare(rows, scans, definitions=definitions, **classifier_facts(results), **kept)
    write_atomic(results / "compare.json", quantify.claims_json(found))
    return found


def _text(found: dict[str, Any]) -> str:
    """Answers per setup with the families that give them, then every definition of every cell."""
    lines = []
    for one in found["setups"]:
        said = "; ".join(f"{a['answer']}: {len(a['families'])}" for a in one["answers"])
        change = "changes with the definition" if one["changes"] else "one answer"
        lines.append(f"{one['setup']}: {QUESTIONS[one['question']]}: {change}, of {one['n_families']} families {said}")
    for cell in found["cells"]:
        if not cell["channel"] and cell["definitions"]:
            lines += ["", f"{cell['setup']} {cell['method']} {cell['model']} {cell['member']} {cell['fill']}".rstrip()]
            lines += grid([_line(row) for row in cell["definitions"]])
    lines += ["", f"{found['caption']} {found['disclaimer']}"]
    return "\n".join(plain(line) for line in lines)


def _line(row: dict[str, Any]) -> dict[str, str]:
    muscle = row["muscle"]
    scale = abs(muscle["estimate"] or 1.0)
    contrast = row["top_contrast"] or {"region": "none", "p_holm": None}
    interval = [number(muscle[name], 3, scale) for name in ("estimate", "low", "high")]
    return {
        "definition": row["definition"], "family": row["family"],
        "highest": row["answers"]["top_mean"], "contrast": contrast["region"], "p": number(contrast["p_holm"], 4, 1.0),
        "non-muscle less muscle": f"{interval[0]} ({interval[1]} to {interval[2]})",
    }  # fmt: skip
