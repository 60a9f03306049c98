"""A results folder with made-up numbers and pictures, to develop and test the report without running a model.

python tests/report/fake_results.py FOLDER   writes one and its report.html.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fake_tables import COUNTS, draw_phi, map_tables, scan_row, shapley_tables
from layer_fast.examples import picture_name
from layer_fast.quantify import claims_json, summary
from layer_fast.quantify.examples import choose_examples
from layer_fast.quantify.summary import clean
from layer_fast.tables import COALITION_COLUMNS, LAYER_COLUMNS, SCAN_COLUMNS, arrow_schema

EFFECTS: dict[str, dict[int, float]] = {"bmode": {5: 1.4}, "swe": {}, "both": {5: 1.0, 6: 0.8}}
RUN = {
    "layer_fast": "0.1.0", "result_version": 1, "complete": True, "scans": 50, "counts": {"ok": 48},
    "config": {"methods": ["gradcam", "layer_shapley"], "fills": ["cohort_profile"]}, "config_sha256": "ab" * 32,
    "engine": {"name": "onnxruntime", "version": "1.0", "threads": 1},
    "models": [{"name": "toy", "role": "classifier", "setup": s, "sha256": "cd" * 32} for s in EFFECTS],
}  # fmt: skip


def make_tables(subjects: int = 24) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Layer and scan rows for three setups: a driver in bmode, none in swe, a tie in both; two scans that failed."""
    layers: list[dict[str, Any]] = []
    scans: dict[str, dict[str, Any]] = {}
    for seed, (setup, effect) in enumerate(EFFECTS.items()):
        phi, case = draw_phi(np.random.default_rng(seed), subjects=subjects, effect=effect, spread=0.25)
        rows, made = shapley_tables(phi, case, setup=setup)
        heat = np.abs(phi) * (2 + np.linspace(0, 1, 7)) * COUNTS.max() / (COUNTS + 300)
        layers += rows + [{**r, "method": "layer_ablation", "value": 0.8 * r["value"]} for r in rows]
        layers += map_tables(heat, case, setup=setup)
        for row in made:
            scans.setdefault(row["scan_id"], row)[f"margin_{setup}"] = row[f"margin_{setup}"]
    bad = [scan_row(f"bad-{i}", f"bad{i}", "case", {}, "unknown") for i in range(2)]
    bad[0].update(status="quarantined", step="read", code="crc", message="bmode: expected CRC 1f2e, found 0000")
    bad[1].update(status="failed", step="explain", code="engine", message="engine ran out of memory")
    rows = [*scans.values(), *bad]
    rows[3].update(flags="bmode:unit_unknown;layers_absent:dermis")
    return layers, rows


def make_picture(rng: np.random.Generator, *, swe: bool = True) -> dict[str, np.ndarray]:
    """A slice of wavy layers with speckle, 160 x 64 voxels of 0.25 x 0.6 mm."""
    y, x = np.mgrid[:160, :64]
    depth = y + 3 * np.sin(x / 9 + rng.uniform(0, 6))
    labels = np.digitize(depth, [6, 12, 38, 41, 72, 75]).astype(np.uint8)
    echo = np.array([180, 170, 70, 210, 60, 225, 95])[labels] * rng.rayleigh(0.7, labels.shape) * np.exp(-y / 260)
    arrays = {"bmode": np.clip(echo, 0, 255).astype(np.uint8), "labels": labels}
    if swe:
        speed = np.array([1.5, 2.6, 1.9, 3.0, 2.0, 3.4, 4.2])[labels] + rng.normal(0, 0.1, labels.shape)
        speed[(y > 120) & (x > 44)] = np.nan
        arrays["swe"] = speed.astype(np.float32)
    for setup, centre in (("bmode", 73), ("swe", 110), ("both", 76)):
        blob = np.exp(-(((depth - centre) / 14) ** 2) - ((x - 30) / 22) ** 2)
        arrays[f"map_{setup}"] = blob.astype(np.float32)
    arrays["map_swe"] *= 0
    return {**arrays, "spacing_mm": np.array([1.5, 0.25, 0.6])}


def make_results(
    folder: Path, *, run: dict[str, Any] = RUN, rename: dict[str, str] | None = None, subjects: int = 24
) -> Path:
    """Write a results folder. rename: every text of the tables that is a key is replaced by its value."""
    swap = rename or {}
    layers, scans = (
        [{k: swap.get(v, v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
        for rows in make_tables(subjects)
    )
    folder.mkdir(parents=True, exist_ok=True)
    coalitions = [{"scan_id": scans[0]["scan_id"], "values": [0.0] * 128}]
    for name, rows, columns in (
        ("layers", layers, LAYER_COLUMNS), ("scans", scans, SCAN_COLUMNS), ("coalitions", coalitions, COALITION_COLUMNS)
    ):  # fmt: skip
        table = pyarrow.Table.from_pylist(rows, schema=arrow_schema(columns))
        parquet.write_table(table, folder / f"{name}.parquet")
    classes = {"positive": swap.get("case", "case"), "negative": swap.get("control", "control")}
    result = summary(layers, scans, logit_sd=2.0, replicates=199, **classes)
    (folder / "claims.json").write_bytes(claims_json(result))
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    write_examples(folder, choose_examples(layers, scans, targets={"margin:case-control": tuple(classes.values())}))
    return folder


def write_examples(folder: Path, found: dict[str, Any], pictures: int = 2) -> None:
    """examples.json and the pictures of its first scans, the second without shear wave."""
    (folder / "pictures").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for i, scan in enumerate(found["scans"]):
        shown = i < pictures
        why = "" if shown else f"option pictures: at most {pictures}"
        scan |= {"picture": picture_name(scan["scan_id"]) if shown else None, "why_no_picture": why}
        if shown:
            path = folder / "pictures" / picture_name(scan["scan_id"])
            np.savez(path, scan_id=scan["scan_id"], key="", method="gradcam", **make_picture(rng, swe=i == 0))
    facts = {"schema_version": 1, "map_method": "gradcam", "pictures": pictures}
    (folder / "examples.json").write_bytes(claims_json(clean({**facts, **found})))


if __name__ == "__main__":
    from layer_fast.report import layer_table_text, write_report

    out = make_results(Path(sys.argv[1]))
    sys.stdout.write(f"{write_report(out)}\n{layer_table_text(json.loads((out / 'claims.json').read_text()))}\n")
