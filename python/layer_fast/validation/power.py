"""The power curve: what the claim rule said of planted cohorts, by design, effect and number of subjects."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

from .bounds import share
from .planted import DESIGNS, oracle_auc

DEMANDED = {130: 0.92, 20: 0.98}  # number of subjects -> oracle AUC from which 95 % are asked
GOAL = 0.95


def summarise(done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """{"cells": [...], "demanded": [...], "unresolved": {...}}.

    cells: one per design x effect x subjects: right, wrong, none (shares with bounds), ranked_first by method, median
    AUCs, gates that failed. demanded: right over the cells that must reach `GOAL`, together by number of subjects and
    effect. unresolved: claims of any layer over the cells whose layer the modality cannot resolve."""
    groups: dict[tuple[str, float, int], list[dict[str, Any]]] = {}
    for unit in done.values():
        for cohort in unit["cohorts"]:
            for n, judged in cohort["judged"].items():
                groups.setdefault((unit["design"], unit["effect_sd"], int(n)), []).append(judged)
    order = sorted(groups, key=lambda k: (list(DESIGNS).index(k[0]), k[1], k[2]))
    cells = [_cell(key, groups[key], DESIGNS[key[0]].layer, DESIGNS[key[0]].claim) for key in order]
    demanded = []
    for n, limit in DEMANDED.items():
        for effect in sorted({c["effect_sd"] for c in cells if oracle_auc(c["effect_sd"]) >= limit}):
            asked = [c for c in cells if c["claim"] and c["subjects"] == n and c["effect_sd"] == effect]
            counts = [sum(c[k]["hits"] for c in asked) for k in ("right", "wrong")]
            of = sum(c["right"]["of"] for c in asked)
            demanded.append({"subjects": n, "effect_sd": effect, "oracle_auc": oracle_auc(effect),
                             "right": share(counts[0], of), "wrong": share(counts[1], of)})  # fmt: skip
    thin = [c for c in cells if not c["claim"]]
    claimed = share(sum(c["right"]["hits"] + c["wrong"]["hits"] for c in thin), sum(c["right"]["of"] for c in thin))
    return {"cells": cells, "demanded": demanded, "unresolved": claimed}


def _cell(key: tuple[str, float, int], found: list[dict[str, Any]], layer: str, claim: bool) -> dict[str, Any]:
    said, of = [one["driver"] for one in found], len(found)
    firsts = {m: sum(one["ranked_first"][m] == layer for one in found) for m in found[0]["ranked_first"]}
    return {
        "design": key[0], "effect_sd": key[1], "subjects": key[2], "claim": claim,
        "oracle_auc": oracle_auc(key[1]), "median_oracle_auc": median(one["oracle_auc"] for one in found),
        "median_auc": median(one["auc"] for one in found),
        "right": share(sum(s == layer for s in said), of),
        "wrong": share(sum(s not in (None, layer) for s in said), of),
        "none": share(sum(s is None for s in said), of),
        "ranked_first": {m: share(hits, of) for m, hits in firsts.items()},
        "failed_gates": dict(sorted(Counter(gate for one in found for gate in one["failed"]).items())),
    }  # fmt: skip
