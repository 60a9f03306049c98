"""compare: every definition on the stored tables of a run, and which conclusions change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import quantify
from ..files import write_atomic
from ..quantify.reduction import distinct
from ..report.style import number, plain
from ..report.terminal import grid
from .quantify import definitions_of
from .requantify import kept_tables
from .result_files import layers_of, table_of, writing
from .run_facts import classifier_facts, run_facts

QUESTIONS = {"top_mean": "highest layer (mean)", "top_contrast": "largest class contrast", "muscle": "muscle or not"}


def run_compare(results: Path, definitions: tuple[str, ...] | None, *, as_json: bool) -> int:
    chosen = None
    if definitions is not None:
        chosen = distinct([one for word in definitions for one in definitions_of(word)], "--definition")
    with writing(results):
        found = write_compare(results, definitions=chosen)
    print(json.dumps(found, sort_keys=True) if as_json else _text(found))
    return 0


def write_compare(
    results: Path, layers: Any = None, *, definitions: list[quantify.Reduction] | None = None
) -> dict[str, Any]:
    """compare.json from the tables of a run. layers: its cells, where they are at hand. definitions: None takes all
    presets that follow from layers.parquet; named ones read histograms and slices too, where the run kept them."""
    run_facts(results)
    rows = layers_of(results) if layers is None else layers
    kept = {} if definitions is None else kept_tables(results, definitions)
    scans = table_of(results / "scans.parquet")
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
            lines += [_hierarchy(one) for one in cell["hierarchies"]]
    lines += ["", f"{found['caption']} {found['disclaimer']}"]
    return "\n".join(plain(line) for line in lines)


def _hierarchy(one: dict[str, Any]) -> str:
    """Which answers another way from scans to subjects changes."""
    moved = "; ".join(f"{QUESTIONS[c['question']]}: {c['plain']} becomes {c['answer']}" for c in one["changes"])
    empty = "".join(f", {n} scans without {level}" for level, n in one["scans_without_value"].items() if n)
    said = moved or (f"the answers of {one['base']}" if one["base"] else "not compared with a plain hierarchy")
    return f"{one['definition']} ({one['hierarchy']}{empty}): {said}"


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
