"""The command on a fold map: run, info, requantify, compare, stats and report, with the answers of one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from layer_fast.cli import main
from layer_fast.report.sections.folds import margins_per_sd
from tiny_folds import fold_of, with_fold, write_folds

GIVEN = ("--setups", "bmode", "--guards", "leakage", "border", "nulls", "randomisation", "--methods", "gradcam",
         "gradient", "layer_shapley", "layer_ablation")  # fmt: skip
UNITS = ("units", "logit_sd", "auc_within_folds", "logit_sd_train", "model")
FILES = ("claims.json", "stats.json", "games.json", "compare.json", "guards.json")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of a fold map, and of the one model whose logits its folds multiply."""
    base = tmp_path_factory.mktemp("folds")
    folds = write_folds(base / "models")
    plain = tiny.write_models(base / "plain", ("bmode",))
    table = with_fold(tiny.write_cohort(base / "c", 12), lambda row: fold_of(row["subject"]))
    for models, out in ((folds, "folded"), (plain, "one")):
        assert main(["run", str(table), "--models", str(models), "--out", str(base / out), *GIVEN]) == 0
    return base / "folded", base / "one"


def read(out: Path, name: str) -> Any:
    return json.loads((out / name).read_text())


def without(found: Any, *names: str) -> Any:
    if isinstance(found, dict):
        return {k: without(v, *names) for k, v in found.items() if k not in names}
    return [without(v, *names) for v in found] if isinstance(found, list) else found


def estimates(found: Any) -> list[float]:
    """Every number under the keys "estimate", in order."""
    if isinstance(found, dict):
        own = [found["estimate"]] if isinstance(found.get("estimate"), float) else []
        return own + [x for key in sorted(found) for x in estimates(found[key])]
    return [x for one in found for x in estimates(one)] if isinstance(found, list) else []


def test_answers_are_those_of_one_model(results: tuple[Path, Path]) -> None:
    folded, one = results
    claims, expected = read(folded, "claims.json"), read(one, "claims.json")
    assert [c["model"] for c in claims["cells"]] == ["tiny"] * len(expected["cells"])
    assert estimates(claims["cells"]) == estimates(expected["cells"]) != []
    assert without(claims["cells"][0]["regions"], "p", "p_holm", "low", "high") == without(
        expected["cells"][0]["regions"], "p", "p_holm", "low", "high"
    )
    for name in ("stats.json", "compare.json"):
        part = "analyses" if name == "stats.json" else "cells"
        assert estimates(read(folded, name)[part]) == estimates(read(one, name)[part]) != [], name
    (a, *_), (b, *_) = read(folded, "games.json")["games"], read(one, "games.json")["games"]
    assert estimates(a["interactions"]) == estimates(b["interactions"]) and estimates(a["auc"]) == estimates(b["auc"])
    cell = next(c for c in claims["cells"] if c["method"] == "layer_shapley")
    assert set(cell["auc_within_folds"]["folds"]) == {"a", "b", "c"} and cell["auc_within_folds"]["n_pairs"] == 3


def test_margins_of_the_report_are_those_of_one_model(results: tuple[Path, Path]) -> None:
    folded, one = results
    found = margins_per_sd(tiny.rows(folded, "scans"), read(folded, "run.json"))
    expected = tiny.rows(one, "scans")
    assert [r["margin_bmode"] for r in found] == [r["margin_bmode"] for r in expected]
    assert margins_per_sd(expected, read(one, "run.json")) == expected


def test_guards_and_report_name_the_folds(results: tuple[Path, Path]) -> None:
    folded, one = results
    shuffled = [g for g in read(folded, "guards.json")["guards"] if g["name"] == "randomisation"]
    assert len(shuffled) == 6, "two map methods, three folds"
    assert {g["sentence"].split(":")[0] for g in shuffled} == {"fold a", "fold b", "fold c"}
    page = (folded / "report.html").read_text()
    assert "<h3>Folds</h3>" in page and "margin in SDs of its own fold&#39;s model" in page
    assert "pairs of one fold" in page and "3 pairs" in page and "1 + 1" in page
    assert "<h3>Folds</h3>" not in (one / "report.html").read_text()
    assert len(read(folded, "randomisation.json")["scans"]) == 12


def test_the_verbs_on_a_folded_run(results: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folded, _ = results
    before = {name: (folded / name).read_bytes() for name in (*FILES, "layers.parquet")}
    assert main(["requantify", str(folded)]) == 0
    assert capsys.readouterr().out.startswith("identical:")
    assert main(["requantify", str(folded), "--target", "margin:control-case"]) == 0
    assert main(["requantify", str(folded), "--definition", "mean", "share_of_all"]) == 0
    for verb in ("report", "stats", "compare"):
        assert main([verb, str(folded)]) == 0
    assert {name: (folded / name).read_bytes() for name in before} == before
    capsys.readouterr()


def test_what_compares_scans_of_several_models_is_refused(
    results: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folded, one = results
    file = tmp_path / "own.yaml"
    file.write_text("name: own\nstatistic: mean\nnormalise: {kind: min_max, scope: cohort}\n")
    assert main(["requantify", str(one), "--definition", str(file)]) == 0
    assert main(["requantify", str(folded), "--definition", str(file)]) == 1
    assert "--definition own: a number of several scans' maps" in capsys.readouterr().err
    assert main(["compare", str(folded), "--definition", str(file), "--json"]) == 0
    cell = next(c for c in json.loads(capsys.readouterr().out)["cells"] if c["method"] == "gradcam")
    assert cell["not_compared"][0]["why"] == "maps of each fold's own model have no common extremes"
