"""docs/guides/definitions.md says what the code does, and its example is a definition."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from layer_fast.elsewhere import MAP_COLUMNS
from layer_fast.quantify import STATISTICS, make_reduction

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "definitions.md").read_text(encoding="utf-8")


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.replace("\\|", "¦").strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [c.strip().replace("¦", "|") for c in cells] for cells in lines}


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_is_written_down(name: str) -> None:
    facts = STATISTICS[name]  # type: ignore[index]
    documented = rows_of(GUIDE.split("## Statistics")[1].split("\n## ")[0])
    assert documented[name] == [name, facts.formula, facts.range, facts.cap, facts.chance, facts.needs, facts.source]


def test_every_column_is_written_down() -> None:
    named = rows_of(GUIDE.split("## The table")[1])
    columns = [column for cells in named for column in cells.split(", ")]
    assert set(MAP_COLUMNS) <= set(columns)


def test_every_flag_is_written_down() -> None:
    source = "".join(p.read_text() for p in (ROOT / "python/layer_fast/elsewhere").glob("*.py"))
    flags = ("map_all_zero", "map_constant", "transformed_all_zero", "no_normaliser", "slices_without_normaliser",
             "nothing_to_clip_by", "ties_at_threshold", "members_absent", "eroded_away", "low_n", "map_interpolated",
             "rounded_to_float32")  # fmt: skip
    for flag in flags:
        assert f'"{flag}' in source, flag
        assert f"`{flag}" in GUIDE, flag


def test_the_example_is_a_definition() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.S)
    fields = yaml.safe_load(text)
    one = make_reduction(fields)
    assert one.statistic.total == "labelled"
    assert set(fields) | {"schema_version"} == set(type(one).model_fields), "every field is shown"
