"""A run by a fold map: margins in SDs of each fold's own model, and the AUC among subjects of one fold."""

from __future__ import annotations

from typing import Any

from ..style import interval, number, setup_title
from .words import distinct, with_detail

_KEY = ("setup", "model", "member", "target", "mask")


def margins_per_sd(scans: list[dict[str, Any]], run: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of scans.parquet with each margin in SDs of its own fold's logit, so that folds can stand side by side;
    of an ensemble by the mean of its members' SDs. Unchanged without a fold map, or where packages state no SD."""
    if not run.get("fold_map"):
        return scans
    held: dict[tuple[str, str], list[float | None]] = {}
    for model in run["models"]:
        if model["role"] == "classifier":
            held.setdefault((model["fold"], model["setup"]), []).append(model["logit_sd_train"])
    if any(sd is None for several in held.values() for sd in several):
        return scans
    mean = {key: sum(sd or 0.0 for sd in several) / len(several) for key, several in held.items()}
    out = []
    for row in scans:
        own = {s: mean[row["fold"], s] for s in ("bmode", "swe", "both") if (row["fold"], s) in mean}
        margins = {f"margin_{s}": row.get(f"margin_{s}") for s in own}
        out.append(row | {name: None if m is None else m / own[name[7:]] for name, m in margins.items()})
    return out


def folds(cells: list[dict[str, Any]], run: dict[str, Any]) -> dict[str, Any] | None:
    """A row per classifier and fold with its AUC, and one for pairs of one fold; None without a fold map."""
    if not run.get("fold_map"):
        return None
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for cell in cells:
        if cell.get("auc_within_folds"):
            seen.setdefault(tuple(cell[name] for name in _KEY), cell)
    found = list(seen.values())
    rows = []
    for cell, which in zip(found, distinct(found), strict=True):
        title, within = with_detail(setup_title(cell['setup']), which), cell["auc_within_folds"]
        for name, auc in within["folds"].items():
            part = {"estimate": auc["auc"], "low": auc["low"], "high": auc["high"]}
            rows.append({"title": title, "fold": name, "n": f"{auc['n_case']} + {auc['n_control']}",
                         "auc": interval(part, 2)})  # fmt: skip
        rows.append({"title": title, "fold": "pairs of one fold", "n": f"{within['n_pairs']} pairs",
                     "auc": number(within["auc"], 2)})  # fmt: skip
    return {"names": list(run["fold_map"]["folds"]), "rows": rows}
