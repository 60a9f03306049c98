"""The further JSON files of a made-up results folder: statistics and definitions computed, games and guards written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from layer_fast.quantify import claims_json, cohort_statistics, compare
from layer_fast.quantify.regions import REGION_ORDER

_LABELS = [region.name for region in REGION_ORDER[:7]]
TARGETS = {"margin:case-control": ("case", "control")}


def part(estimate: float | None, half: float = 0.1) -> dict[str, float | None]:
    if estimate is None:
        return dict.fromkeys(("estimate", "low", "high"))
    return {"estimate": estimate, "low": estimate - half, "high": estimate + half}


def write_further(folder: Path) -> Path:
    layers, scans = (parquet.read_table(folder / f"{name}.parquet") for name in ("layers", "scans"))
    statistics = cohort_statistics(layers, scans, logit_sd=2.0, targets=TARGETS, replicates=99)
    (folder / "stats.json").write_bytes(claims_json(statistics))
    (folder / "compare.json").write_bytes(claims_json(compare(layers, scans, targets=TARGETS, replicates=99)))
    games = {"schema_version": 1, "games": [game(setup) for setup in ("bmode", "swe")]}
    (folder / "games.json").write_text(json.dumps(games))
    (folder / "guards.json").write_text(json.dumps({"schema_version": 1, "guards": guard_entries()}))
    return folder


def game(setup: str, fill: str = "cohort_profile") -> dict[str, Any]:
    """A cell of games.json; the interaction of dermis and muscle is the largest."""
    values = [{"region": name, **part(0.1 * k)} for k, name in enumerate(_LABELS)]
    metric = {"values": values, "all": part(0.25), "none": part(0.75)}
    pairs = [(_LABELS[i], _LABELS[j]) for i in range(7) for j in range(i + 1, 7)]
    size = {("dermis", "muscle"): -1.75, ("background", "dermis"): None}
    return {
        "setup": setup, "model": "toy", "member": "0", "fill": fill, "target": "margin:case-control", "mask": "manual",
        "positive": "case", "negative": "control", "units": "logits", "removes_content": True, "n_subjects": 24,
        "n_case": 12, "n_control": 12, "log_loss": metric, "auc": metric,
        "interactions": [{"first": a, "second": b, "n_subjects": 24, "mean": part(0.5),
                          "contrast": part(size.get((a, b), 0.01))} for a, b in pairs],
    }  # fmt: skip


def guard_entries() -> list[dict[str, Any]]:
    """A guard that fired, one that is silent in many cells, one that is not checked."""
    cell = {"model": "toy", "member": "0", "channel": "", "fill": "", "target": "margin:case-control", "mask": "manual"}
    leak = {"name": "leakage", "question": "may it be the neighbours'?", "statistic": "mean share",
            "threshold": "> 1/3", **cell, "setup": "bmode", "method": "gradcam",
            "value": {"muscle": 0.75, "dermis": 0.125}, "fired": True,
            "sentence": "leaky: muscle"}  # fmt: skip
    calm = [{"name": "low_information", "question": "are there maps without content?", "statistic": "share of scans",
             "threshold": "> 10 %", **cell, "setup": setup, "method": method, "value": {"low_n": 0.0}, "fired": False,
             "sentence": "maps have content"}
            for setup in ("bmode", "swe", "both")
            for method in ("gradcam", "layer_shapley", "layer_ablation")]  # fmt: skip
    masks = {"name": "mask_sensitivity", "question": "is it so under other masks?", "statistic": "see the gate",
             "threshold": "the same layer", **cell, "setup": "swe", "method": "layer_shapley", "value": None,
             "fired": None, "sentence": "not checked: no other mask"}  # fmt: skip
    return [leak, *calm, masks]


def confounding() -> dict[str, Any]:
    """What claims.json holds of one cell where the geometry gate was asked."""
    auc = {"auc": 0.875, "low": 0.7, "high": 0.96, "lower_limit": 0.72, "n_case": 12, "n_control": 12}
    columns = [f"thickness_{name}" for name in _LABELS[1:]]
    sets = [{"name": "mask_only", "columns": [*columns, "log_volume"], "auc": {**auc, "auc": 0.625}, "lead": 0.25,
             "lead_low": 0.05, "lead_high": 0.45}]  # fmt: skip
    adjusted = {"layer": "deep_fat", "adjusted_for": ["thickness", "bmi"], "estimate": 0.375, "se": 0.0625, "p": 0.01,
                "n_subjects": 24}  # fmt: skip
    return {"image": auc, "sets": sets, "adjusted": adjusted}
