"""The cohort's answer as one JSON-ready dict (claims.json): same tables and settings, same bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from .beside_tables import classifier_of, logit_sds_of, pairs_of, scans_by_id
from .claim.answers import by_question
from .claim.gate import CLAIM_METHOD
from .claim.gates import checks_of
from .claim.geometry import confounding_dict
from .claim.mask_gate import perturbed_values
from .claim.rule import Claim, decide
from .cohort import USED, CellStatistics, Settings, analyse, is_margin
from .comparisons import comparisons
from .definitions import PRESETS
from .folds import LogitSd, folded, one_sd
from .inference import MIN_PER_CLASS, MIN_SUBJECTS, Interval, enough, valued
from .ordinal import levels_of
from .regions import REGION_ORDER
from .tables import cells

CAPTION = "What this model uses, not what causes pain."
DISCLAIMER = "Research use only. Not a medical device."
SCHEMA_VERSION = 1
_FEW = f"few_subjects: intervals need {MIN_SUBJECTS} subjects, {MIN_PER_CLASS} in each class"


def summary(
    layers: Any,
    scans: Any,
    *,
    logit_sd: LogitSd = None,
    positive: str | None = None,
    negative: str | None = None,
    targets: Mapping[str, tuple[str, str | None]] | None = None,
    seed: int = 0,
    replicates: int = 1999,
    map_definition: str = "part_of_volume_mean",
    guards: Any = None,
) -> dict[str, Any]:
    """Statistics, claims and comparisons of a cohort; numbers are floats, a missing number is None.

    layers, scans: the tables of docs/tables.md as pyarrow Tables, lists of dicts or mappings of columns.
    positive, negative: the two labels that are compared in every cell; both or neither. Without them each cell has
    those of its target: targets gives (positive, negative) per target text, negative None for every other label, both
    from `split_at` for a threshold of ordered classes; where
    targets is None they are read from "margin:POSITIVE-NEGATIVE", which must hold one "-" only.
    logit_sd: standard deviation of the target's logits on the training subjects (manifest `logit_sd_train`), one
    number or per "SETUP/NAME/MEMBER" of the model; "NAME/MEMBER" and "NAME" do where they mean one classifier. None,
    and a model that is not in it, leave contrasts in logits. Where each fold has a model of its own, a mapping fold ->
    SD in place of the number: each scan by the SD of its own. map_definition: what map methods are ranked by.
    guards: the table of docs/tables.md, for the gate of perturbed masks; None leaves it unchecked.
    Raises ValueError for tables without the columns or regions they must have, for classes that are not given and
    cannot be read, and for one SD for several classifiers; KeyError for an unknown definition.
    """
    if PRESETS[map_definition].kind != "map":
        raise ValueError(f"[summary] expected a definition of maps, got {map_definition!r}")
    found = cells(layers)
    pairs = pairs_of(found, positive, negative, targets)
    spread = logit_sds_of(found, logit_sd)
    by_scan = scans_by_id(scans)
    found = folded(found, by_scan, spread, classifier_of)
    analysed = []
    for cell in found:
        settings = Settings(*pairs[cell.key["target"]], seed, replicates, map_definition=map_definition)
        analysed.append((analyse(cell, by_scan, settings, logit_sd=one_sd(spread[classifier_of(cell)])), settings))
    every = [stats for stats, _ in analysed]
    perturbed = perturbed_values(guards)
    results = [(one, own, decide(one, own, checks_of(one, own, every, by_scan, perturbed))) for one, own in analysed]
    out: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "caption": CAPTION,
        "disclaimer": DISCLAIMER,
        "settings": settings_dict(Settings(seed=seed, replicates=replicates, map_definition=map_definition), pairs),
        "definitions": {name: d.as_dict() for name, d in PRESETS.items()},
        "scans": _scan_counts(by_scan),
        "answers": by_question([_answer(*r) for r in results if r[0].cell.key["method"] == CLAIM_METHOD]),
        "cells": [{**_cell(*one), "confounding": confounding_dict(one[0], one[1], by_scan)} for one in results],
        "comparisons": [c for stats, own, _ in results for c in comparisons(stats, own)],
    }
    return {name: clean(part) for name, part in out.items()}


def claims_json(result: Mapping[str, Any]) -> bytes:
    """The bytes of claims.json: sorted keys, one-space indent, shortest decimal of every float, no NaN."""
    return (json.dumps(result, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def settings_dict(s: Settings, pairs: Mapping[str, tuple[str, str | None]]) -> dict[str, Any]:
    """`positive` and `negative` are None where the targets compare different classes."""
    one = set(pairs.values()) or {(s.positive, s.negative)}
    positive, negative = one.pop() if len(one) == 1 else (None, None)
    return {
        "positive": positive, "negative": negative, "seed": s.seed, "replicates": s.replicates, "alpha": s.alpha,
        "confidence": s.confidence, "map_definition": s.map_definition, "unit": "subject, equal weight",
        "interval": "studentised bootstrap over subjects (contrasts: within class)",
        "test": "one-sided studentised permutation of the subjects' labels; Holm over the six layers",
        "auc_interval": "Newcombe 2006, method 5, on subject means",
        "min_subjects": MIN_SUBJECTS, "min_per_class": MIN_PER_CLASS,
    }


def _scan_counts(by_scan: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    used = [row for row in by_scan.values() if row["status"] in USED]
    return {
        "total": len(by_scan),
        "used": len(used),
        "subjects": len({row["subject"] for row in by_scan.values()}),
        "by_status": dict(Counter(str(row["status"]) for row in by_scan.values())),
        "by_code": dict(Counter(str(row["code"]) for row in by_scan.values() if row.get("code"))),
    }


def _answer(stats: CellStatistics, settings: Settings, claim: Claim) -> dict[str, Any]:
    return {
        **stats.cell.key, "positive": settings.positive, "negative": settings.negative,
        "verdict": claim.verdict, "driver": claim.driver, "top": claim.top, "tied": list(claim.tied),
        "text": claim.text, "gates": claim.as_dict()["gates"], "n_subjects": len(stats.subjects.names),
    }


def _cell(stats: CellStatistics, settings: Settings, claim: Claim) -> dict[str, Any]:
    who = stats.subjects
    n, case, control = len(who.names), int(who.is_case.sum()), int(who.is_control.sum())
    d = PRESETS[stats.definition]
    return {
        **stats.cell.key,
        "positive": settings.positive, "negative": settings.negative,
        "definition": d.name,
        "definition_sha256": d.sha256_short,
        "units": _units(stats),
        "logit_sd": _logit_sd(stats),
        "n_scans": sum(len(s) for s in stats.subjects.scans),
        "n_subjects": n, "n_case": case, "n_control": control,
        "excluded": stats.subjects.excluded,
        "withheld": "" if enough(case, control) else _FEW,
        "auc": stats.auc._asdict(),
        **({} if stats.within is None else {"auc_within_folds": stats.within.as_dict()}),
        "rank_correlation": stats.rank,
        "levels": levels_of(settings.positive, settings.negative),
        "flags": dict(_flags(stats)),
        "regions": [_region(stats, i) for i in range(len(REGION_ORDER))],
        "claim": claim.as_dict(),
        "top_by_definition": _tops(stats),
    }


def _units(stats: CellStatistics) -> str:
    d = PRESETS[stats.definition]
    if d.kind != "value" or not is_margin(stats.cell):
        return f"{d.units} / SD of the model's logit" if stats.in_logit_sd and d.units != "1" else d.units
    return "SD of the model's logit" if stats.in_logit_sd else "logits of the target"


def _logit_sd(stats: CellStatistics) -> Any:
    """What was divided by: a number, or one by fold."""
    if stats.cell.folds is not None:
        return stats.cell.folds.logit_sd if stats.in_logit_sd else None
    return stats.scale if PRESETS[stats.definition].kind == "value" and stats.in_logit_sd else None


def _region(stats: CellStatistics, i: int) -> dict[str, Any]:
    region = REGION_ORDER[i]
    case, control = stats.subjects.split(stats.per_subject[:, i])
    return {
        "region": region.name, "region_kind": region.kind, "label_value": region.label_value,
        "present": stats.present[i], "unresolved": stats.unresolved[i],
        "n_case": int(valued(case)), "n_control": int(valued(control)),
        "mean_case": _mean(case), "mean_control": _mean(control),
        "contrast": {**_interval(stats.contrast, i), "p": stats.p[i], "p_holm": stats.p_holm[i]},
        "means": {name: _interval(interval, i) for name, interval in stats.means.items()},
    }


def _tops(stats: CellStatistics) -> dict[str, str | None]:
    """The layer with the highest mean by each definition: how far the ranking depends on the definition."""
    out: dict[str, str | None] = {}
    for name, interval in stats.means.items():
        layers = interval.estimate[1:7]
        out[name] = None if np.isnan(layers).all() else REGION_ORDER[1 + int(np.nanargmax(layers))].name
    return out


def _flags(stats: CellStatistics) -> Counter[str]:
    """How many scans carry each flag in any of their rows."""
    table, seen = stats.cell.table, Counter[str]()
    for scan in (i for group in stats.subjects.scans for i in group):
        texts = {table["flags"][r] or "" for r in stats.cell.positions[scan]} if "flags" in table else set()
        seen.update({flag for text in texts for flag in text.split(";") if flag})
    return seen


def _interval(interval: Interval, i: int) -> dict[str, Any]:
    return {"estimate": interval.estimate[i], "low": interval.low[i], "high": interval.high[i]}


def _mean(x: np.ndarray) -> float:
    x = x[~np.isnan(x)]
    return float(x.sum() / len(x)) if len(x) else float("nan")


def clean(value: Any) -> Any:
    """Plain Python types; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
