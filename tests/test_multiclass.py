"""Three classes, one explained against the rest: through the whole flow to the cohort's answer."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as parquet
import pytest
from onnx import numpy_helper

import layer_fast as lf
import tiny
import tolerances
from layer_fast.cli.summary_files import write_summary

CLASSES = ["control", "case", "other"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny B-mode classifier with a third class whose weights are the mean of the others, shifted."""
    folder = tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))
    file = folder / "bmode" / "model.onnx"
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if tensor.name in ("fc", "fb"):
            two = numpy_helper.to_array(tensor)
            third = two.mean(axis=-1, keepdims=True) + np.float32(0.1)
            tensor.CopyFrom(numpy_helper.from_array(np.concatenate([two, third], axis=-1), tensor.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    data = model.SerializeToString()
    file.write_bytes(data)
    manifest = json.loads((folder / "bmode" / "manifest.json").read_text())
    manifest |= {"classes": CLASSES, "target": {"positive": "case", "negative": None}}
    manifest["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
    (folder / "bmode" / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def out(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "input"
    table = tiny.write_cohort(folder, scans=12)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    subjects = sorted({row["subject"] for row in rows})
    for row in rows:
        row |= {"label": CLASSES[subjects.index(row["subject"]) % 3], "label_type": "multiclass"}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    result = folder / "out"
    run = lf.run_cohort(table, models, result, {"methods": ("gradcam", "gradient", "layer_shapley")})
    assert run.exit_code == 0
    return result


def test_the_margin_is_the_log_odds_against_the_rest(out: Path) -> None:
    rows = parquet.read_table(out / "layers.parquet").to_pylist()
    values = {(r["scan_id"], r["fill"], r["output"]): np.array(r["values"]) for r in
              parquet.read_table(out / "coalitions.parquet").to_pylist()}  # fmt: skip
    assert {row["target"] for row in rows} == {"margin:case-rest"}
    for row in rows:
        if row["method"] == "layer_shapley" and row["region"] == "dermis":
            logit = {name: values[row["scan_id"], row["fill"], f"logit:{name}"] for name in CLASSES}
            odds = logit["case"] - np.logaddexp(logit["control"], logit["other"])
            same = ("scan_id", "method", "fill")
            own = [r for r in rows if all(r[name] == row[name] for name in same)]
            phi = sum(r["value"] for r in own if r["region_kind"] != "group")
            assert phi == pytest.approx(odds[127] - odds[0], abs=tolerances.ROUNDING)
            assert row["margin"] == pytest.approx(odds[127], rel=tolerances.ENGINE_RTOL)


def test_case_is_compared_with_all_others(out: Path) -> None:
    summary = write_summary(out)
    labels = {row["subject"]: row["label"] for row in parquet.read_table(out / "scans.parquet").to_pylist()}
    cells = {cell["method"]: cell for cell in summary["cells"]}
    case = sum(label == "case" for label in labels.values())
    for method in ("gradcam", "gradient", "layer_shapley"):
        assert (cells[method]["n_case"], cells[method]["n_control"]) == (case, len(labels) - case)
        assert cells[method]["negative"] is None
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<dt>negative</dt><dd>all others</dd>" in page
