"""Four ordered classes, the two upper explained against the two lower: from the manifest to the cohort's answer."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as parquet
import pytest
from onnx import numpy_helper
from scipy import stats

import layer_fast as lf
import tiny
import tolerances
from layer_fast.cli import main
from layer_fast.cli.run import write_summary
from layer_fast.errors import ModelError

LEVELS = ["none", "mild", "moderate", "severe"]
VALUES = {"methods": ("gradcam", "gradient", "layer_ablation", "layer_shapley")}


def _write_manifest(folder: Path, **changes: object) -> None:
    path = folder / "bmode" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny B-mode classifier with four classes."""
    folder = tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))
    file = folder / "bmode" / "model.onnx"
    model = onnx.load(file)
    rng = np.random.default_rng(3)
    for tensor in model.graph.initializer:
        if tensor.name in ("fc", "fb"):
            shape = (*numpy_helper.to_array(tensor).shape[:-1], len(LEVELS))
            tensor.CopyFrom(numpy_helper.from_array(rng.normal(0, 1, shape).astype(np.float32), tensor.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(LEVELS)
    data = model.SerializeToString()
    file.write_bytes(data)
    files = json.loads((folder / "bmode" / "manifest.json").read_text())["files"]
    files["model.onnx"] = hashlib.sha256(data).hexdigest()
    _write_manifest(folder, classes=LEVELS, ordinal=True, files=files,
                    target={"positive": "moderate", "at_or_above": True})  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-two subjects of two scans: the four levels in turn, then one label that is no level and one left empty."""
    table = tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "input", scans=44)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        place = int(row["subject"][1:])
        label = LEVELS[place % 4] if place < 20 else ("unclear", "")[place - 20]
        row |= {"label": label, "label_type": "ordinal"}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return table


@pytest.fixture(scope="module")
def out(models: Path, table: Path) -> Path:
    result = table.parent / "out"
    assert lf.run_cohort(table, models, result, VALUES).exit_code == 0
    return result


@pytest.fixture(scope="module")
def summary(out: Path) -> dict[str, Any]:
    return write_summary(out)


def _log_odds(logit: dict[str, np.ndarray]) -> np.ndarray:
    return np.logaddexp(logit["moderate"], logit["severe"]) - np.logaddexp(logit["none"], logit["mild"])


def _logits(out: Path, row: dict[str, object]) -> dict[str, np.ndarray]:
    found = parquet.read_table(out / "coalitions.parquet").to_pylist()
    own = [r for r in found if (r["scan_id"], r["fill"]) == (row["scan_id"], row["fill"])]
    return {r["output"].removeprefix("logit:"): np.array(r["values"]) for r in own}


def test_the_margin_is_the_cumulative_log_odds(out: Path) -> None:
    rows = parquet.read_table(out / "layers.parquet").to_pylist()
    assert {row["target"] for row in rows} == {"margin:>=moderate"}
    own = [r for r in rows if r["scan_id"] == "s005" and r["method"] == "layer_shapley"]
    for fill in {row["fill"] for row in own}:
        block = [row for row in own if row["fill"] == fill]
        odds = _log_odds(_logits(out, block[0]))
        phi = sum(row["value"] for row in block if row["region_kind"] != "group")
        assert phi == pytest.approx(odds[127] - odds[0], abs=tolerances.ROUNDING)
        assert block[0]["margin"] == pytest.approx(odds[127], rel=tolerances.ENGINE_RTOL)


def test_cases_are_the_subjects_at_or_above_the_level(out: Path, summary: dict[str, Any]) -> None:
    for cell in summary["cells"]:
        assert (cell["positive"], cell["negative"]) == (">= moderate", "< moderate")
        assert cell["levels"] == {"positive": ["moderate", "severe"], "negative": ["none", "mild"]}
        assert (cell["n_case"], cell["n_control"], cell["n_subjects"]) == (10, 10, 22)
        assert cell["excluded"] == {"label_missing_or_other": 4}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "10 &gt;= moderate, 10 &lt; moderate subjects" in page
    assert "Kendall tau b" in page
    games = json.loads((out / "games.json").read_text())["games"]
    assert {(game["n_case"], game["n_control"]) for game in games} == {(10, 10)}
    assert games[0]["log_loss"] is not None
    frame = json.loads((out / "stats.json").read_text())
    assert ">= moderate" in json.dumps(frame)


def test_rank_correlation_of_subject_means_with_the_level(out: Path, summary: dict[str, Any]) -> None:
    rows = parquet.read_table(out / "scans.parquet").to_pylist()
    means, levels = [], []
    for subject in sorted({row["subject"] for row in rows if row["label"] in LEVELS}):
        own = [row for row in rows if row["subject"] == subject]
        means.append(np.mean([row["margin_bmode"] for row in own]))
        levels.append(LEVELS.index(own[0]["label"]))
    found = summary["cells"][0]["rank_correlation"]
    assert found["n_subjects"] == 20
    assert found["spearman"]["estimate"] == pytest.approx(stats.spearmanr(means, levels).statistic, abs=1e-12)
    tau = found["kendall_tau_b"]
    assert tau["estimate"] == pytest.approx(stats.kendalltau(means, levels).statistic, abs=1e-12)
    assert tau["low"] < tau["estimate"] < tau["high"]


def test_requantify_gives_the_bits_of_the_run(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["requantify", str(out)]) == 0
    assert "identical" in capsys.readouterr().out


def test_probability_is_the_sum_of_the_upper_levels(models: Path, table: Path, tmp_path: Path) -> None:
    options = {"methods": ("layer_shapley", "gradient"), "target": "probability"}
    assert lf.run_cohort(table, models, tmp_path / "out", options).exit_code == 0
    rows = parquet.read_table(tmp_path / "out" / "layers.parquet").to_pylist()
    assert {row["target"] for row in rows} == {"probability:>=moderate"}
    own = [r for r in rows if r["scan_id"] == "s002" and r["method"] == "layer_shapley"]
    block = [row for row in own if row["fill"] == own[0]["fill"] and row["region_kind"] != "group"]
    odds = _log_odds(_logits(tmp_path / "out", own[0]))
    p = 1 / (1 + np.exp(-odds))
    assert sum(row["value"] for row in block) == pytest.approx(p[127] - p[0], abs=1e-9)
    assert main(["requantify", str(tmp_path / "out")]) == 0


def test_the_logit_of_a_threshold_is_refused(models: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected margin or probability"):
        lf.run_cohort(table, models, tmp_path / "out", {"target": "logit"})
    package = lf.load_models(models).classifiers["bmode"][0]
    with pytest.raises(ModelError, match="expected margin or probability"):
        package.target_values(np.zeros((1, 4)), "logit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ordinal": False}, "at_or_above expects ordered classes"),
        ({"target": {"positive": "none", "at_or_above": True}}, "with classes below it"),
        ({"target": {"positive": "mild", "negative": "none", "at_or_above": True}}, "and no `negative`"),
        ({"target": {"positive": "worst", "at_or_above": True}}, "expected different names out of"),
    ],
)
def test_manifests_that_make_no_sense_are_refused(
    models: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = shutil.copytree(models, tmp_path / "models")
    _write_manifest(folder, **changes)
    with pytest.raises(ModelError, match=message):
        lf.load_models(folder)


def test_ordered_classes_may_have_a_plain_target_too(models: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models, tmp_path / "models")
    _write_manifest(folder, target={"positive": "severe", "negative": "none"})
    package = lf.load_models(folder).classifiers["bmode"][0]
    assert package.target_values(np.array([[1.0, 5.0, 6.0, 4.5]])) == 3.5


def test_shapley_values_of_a_model_whose_odds_are_linear() -> None:
    """Two levels a side with logits that differ by constants: the log odds are linear in what is added to them."""
    bits = np.arange(128)[:, None] >> np.arange(7) & 1
    effect = np.arange(1, 8) / 7
    upper, lower = bits @ effect, -0.5 * (bits @ effect)
    logits = {"none": lower, "mild": lower + 1, "moderate": upper, "severe": upper - 2}
    odds = lf.quantify.target_of_logits(logits, "margin:>=moderate", levels=LEVELS)
    np.testing.assert_allclose(lf.quantify.shapley(odds[None])[0], 1.5 * effect, rtol=0, atol=1e-12)


def test_another_margin_without_the_model(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    assert main(["requantify", str(out), "--target", "margin:severe-none", "--out", str(path)]) == 0
    rows = parquet.read_table(path).to_pylist()
    assert {row["target"] for row in rows} == {"margin:severe-none"}
    assert {row["method"] for row in rows} == {"layer_ablation", "layer_shapley"}
    dermis = [r for r in rows if r["scan_id"] == "s007" and r["region"] == "dermis" and r["region_kind"] == "layer"]
    assert len(dermis) == 4
    for row in dermis:
        logit = _logits(out, row)
        v = logit["severe"] - logit["none"]
        assert row["margin"] == v[127]
        same = [r for r in rows if all(r[k] == row[k] for k in ("scan_id", "fill", "method"))]
        if row["method"] == "layer_ablation":
            assert row["value"] == pytest.approx(v[127] - v[127 - 2], abs=1e-12)  # label 1 is bit 1
        else:
            phi = sum(r["value"] for r in same if r["region_kind"] != "group")
            assert phi == pytest.approx(v[127] - v[0], abs=1e-12)
    assert lf.quantify.summary(parquet.read_table(path), parquet.read_table(out / "scans.parquet"))["cells"]


def test_the_runs_own_margin_gives_its_own_rows(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    assert main(["requantify", str(out), "--target", "margin:>=moderate", "--out", str(path)]) == 0
    again, run = parquet.read_table(path).to_pylist(), parquet.read_table(out / "layers.parquet").to_pylist()
    run = [row for row in run if row["method"] in ("layer_ablation", "layer_shapley")]
    assert len(run) == len(again)
    np.testing.assert_allclose([r["value"] for r in again], [r["value"] for r in run], rtol=0, atol=1e-9)
    for name in set(run[0]) - {"value", "margin"}:
        assert [str(r[name]) for r in again] == [str(r[name]) for r in run]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("probability:severe", "expected a margin"),
        ("margin:severe-worst", "expected two of the classes"),
        ("margin:>=none", "above the lowest level"),
    ],
)
def test_targets_that_the_run_has_not(
    out: Path, target: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["requantify", str(out), "--target", target, "--out", str(tmp_path / "x.parquet")]) != 0
    assert message in capsys.readouterr().err
