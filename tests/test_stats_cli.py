"""layer-fast stats on the results of a run, and what the guide tells a reader to type."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet as parquet
import pytest

import tiny
from layer_fast.cli import main
from layer_fast.quantify.stats import LONG_COLUMNS

ROOT = Path(__file__).resolve().parent.parent
LOGIT_SD = 2.0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stats")
    tiny.write_models(folder / "models")
    for setup in ("bmode", "swe", "both"):
        manifest = folder / "models" / setup / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"logit_sd_train": LOGIT_SD}))
    tiny.write_cohort(folder / "cohort", 12)
    out = folder / "out"
    assert main(["run", str(folder / "cohort/cohort.csv"), "--models", str(folder / "models"), "--out", str(out)]) == 0
    return out


def test_a_run_writes_statistics(results: Path) -> None:
    found = json.loads((results / "stats.json").read_text())
    layers = parquet.read_table(results / "layers.parquet")
    assert {a["setup"] for a in found["analyses"]} == set(layers.column("setup").to_pylist())
    assert found["scans"]["used"] == 12 and len(found["calibration"]) == 3


def test_the_verb_prints_and_writes(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (results / "stats.json").read_bytes()
    assert main(["stats", str(results)]) == 0
    printed = capsys.readouterr()
    assert "deep fascial membrane" in printed.out and "log-loss" in printed.out
    assert "Not a medical device" in printed.out and "stats.json" in printed.err
    assert (results / "stats.json").read_bytes() == before, "same tables, same bytes"
    assert main(["stats", str(results), "--by", "fold", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((results / "stats.json").read_text())
    assert "fold" in {s["by"] for s in told["analyses"][0]["strata"]}
    assert main(["report", str(results)]) == 0


def test_the_long_table_holds_the_numbers_of_the_run(results: Path, tmp_path: Path) -> None:
    assert main(["stats", str(results), "--long", str(tmp_path / "long.parquet")]) == 0
    assert main(["stats", str(results), "--long", str(tmp_path / "long.csv")]) == 0
    long = parquet.read_table(tmp_path / "long.parquet")
    assert long.column_names[: len(LONG_COLUMNS)] == list(LONG_COLUMNS)
    layers = parquet.read_table(results / "layers.parquet").to_pylist()
    keys = ("scan_id", "setup", "method", "fill", "channel", "region_kind", "region")
    of_run = {tuple(row[k] for k in keys): row for row in layers}
    rows = [r for r in long.to_pylist() if r["definition"] in ("layer_shapley", "mean_minmax_volume")]
    assert len(rows) == len([row for row in layers if row["method"] != "layer_ablation"])
    for row in rows:
        theirs = of_run[tuple(row[k] for k in keys)]
        is_map = row["definition"] == "mean_minmax_volume"
        value = theirs["mean_minmax_volume"] if is_map else theirs["value"] / LOGIT_SD
        assert np.array_equal(row["value"], value, equal_nan=True)
        for name in ("thickness_mm", "margin"):
            same = row[name] == theirs[name] or (row[name] != row[name] and theirs[name] != theirs[name])
            assert same, (name, row, theirs)
        assert (row["present"], row["n_voxels"]) == (theirs["present"], theirs["n_voxels"])
        right = {("case", True): "true positive", ("case", False): "false negative"}
        right |= {("control", True): "false positive", ("control", False): "true negative"}
        assert row["correctness"] == right[row["label"], row["margin"] > 0]
    text = list(csv.DictReader((tmp_path / "long.csv").read_text().splitlines()))
    assert len(text) == long.num_rows
    assert float(text[5]["margin"]) == long.column("margin")[5].as_py()


def test_the_guides_mixed_model_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = (ROOT / "docs/guides/statistics.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, flags=re.S)
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(30), 4)
    rows = {name: np.full(120, "") for name in LONG_COLUMNS} | {
        "definition": np.full(120, "layer_shapley"), "setup": np.full(120, "bmode"), "region": np.full(120, "muscle"),
        "region_kind": np.full(120, "layer"), "subject": subject.astype(str), "thickness_mm": rng.normal(20, 3, 120),
        "label": np.where(subject % 2, "case", "control"),
        "value": subject % 2 + rng.normal(0, 0.5, 30)[subject] + rng.normal(0, 0.5, 120),
    }  # fmt: skip
    pandas.DataFrame(rows).to_parquet(tmp_path / "long.parquet")
    monkeypatch.chdir(tmp_path)
    exec(code, {})  # noqa: S102  (the guide is ours)
    printed = capsys.readouterr().out
    assert re.search(r"No. Groups: +30", printed)
    effect = re.search(r"label\[T.control\] +(-?[\d.]+)", printed)
    assert effect is not None and float(effect.group(1)) == pytest.approx(-1.0, abs=0.5)


def test_every_column_of_the_long_table_is_written_down() -> None:
    text = (ROOT / "docs/tables.md").read_text(encoding="utf-8").split("## The long table")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")][2:]
    documented = {cells[0].strip(): tuple(c.strip() for c in cells[1:]) for cells in lines}
    assert documented == LONG_COLUMNS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "clinic"], "--by clinic: expected columns of the cohort table, found:"),
        (["--long", "x.txt"], "expected a name ending in .csv or .parquet"),
    ],
)
def test_faults_are_named(
    results: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", str(results), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(tmp_path)]) == 1
    assert "expected the results of a run, found no layers.parquet" in capsys.readouterr().err
