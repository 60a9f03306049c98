"""docs/definitions.md and docs/tables.md say what the code does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fake_tables import draw_phi, shapley_tables
from layer_fast.fills import FILL_FACTS
from layer_fast.quantify import PRESETS, map_region_rows, summary
from layer_fast.quantify.claim.gate import ELSEWHERE
from layer_fast.tables import (
    COALITION_COLUMNS,
    EVALUATED_COLUMNS,
    GUARD_COLUMNS,
    LAYER_COLUMNS,
    SCAN_COLUMNS,
    STORED_COLUMNS,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.replace("\\|", "¦").strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [c.strip().replace("¦", "|") for c in cells] for cells in lines}


def test_every_definition_is_written_down_with_its_formula() -> None:
    documented = rows_of((DOCS / "definitions.md").read_text(encoding="utf-8"))
    for name, preset in PRESETS.items():
        formula = documented[name][1]
        assert preset.formula.removeprefix("phi_k = ").startswith(formula.removesuffix(", p = 7")), name
    assert all(any(name in row for row in documented) for name in ELSEWHERE)


def test_every_gate_is_written_down() -> None:
    phi, case = draw_phi(np.random.default_rng(0), subjects=40, effect={4: 2.0})
    gates = summary(*shapley_tables(phi, case), replicates=99)["answers"][0]["gates"]
    text = (DOCS / "definitions.md").read_text(encoding="utf-8").split("## When a layer is called")[1].split("\n## ")[0]
    assert {gate["name"] for gate in gates} == set(rows_of(text)) - {"gate", "---"}


def test_every_fill_is_written_down() -> None:
    documented = rows_of((DOCS / "definitions.md").read_text(encoding="utf-8"))
    for name, facts in FILL_FACTS.items():
        removes, formula = documented[name][1:3]
        assert removes.startswith("yes") is facts.removes_content, name
        assert formula.split(":")[0].startswith(facts.formula.split(":")[0][:25]), name


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("scans", SCAN_COLUMNS), ("layers", LAYER_COLUMNS), ("coalitions", COALITION_COLUMNS),
        ("guards", GUARD_COLUMNS), ("definitions", EVALUATED_COLUMNS), *STORED_COLUMNS.items(),
    ],
)
def test_every_column_is_written_down(heading: str, columns: dict[str, tuple[str, str]]) -> None:
    text = (DOCS / "tables.md").read_text(encoding="utf-8").split(f"## {heading}.parquet")[1].split("\n## ")[0]
    documented = {name: cells[1:3] for name, cells in rows_of(text).items() if name not in ("column", "---")}
    lists = {"list": "list of float64", "int_list": "list of int64"}
    expected = {n: [lists.get(kind, kind), unit] for n, (kind, unit) in columns.items()}
    assert documented == expected


def test_rows_hold_only_columns_of_the_table() -> None:
    one = [1.0] * 7
    rows = map_region_rows([1] * 7, sum=one, sum_sq=one, sum_abs=one, sum_pos=one, min=one, max=one, voxel_mm3=1.0)
    assert set(rows[0]) <= set(LAYER_COLUMNS)
