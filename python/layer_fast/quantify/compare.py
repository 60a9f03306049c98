"""Every definition on one cohort side by side: which conclusions change with the definition (compare.json).

{"schema_version", "caption", "disclaimer", "settings": {"seed", "replicates", "confidence", "alpha", "questions"},
 "families": [{"name", "members", "alike", "why"}],
 "cells": [{setup, method, model, member, fill, target, mask, channel, "n_subjects", "n_case", "n_control",
   "definitions": [{"definition", "definition_sha256", "family", "how" ("exact" | "histogram"), "units",
      "top_mean": {"region", "estimate"}, "top_contrast": {"region", "estimate", "p", "p_holm"},
      "muscle": {"estimate" (mean of non_muscle less mean of muscle), "low", "high"},
      "answers": {question: answer}}],
   "families": [{"family", "definitions", "answers": {question: answer}, "agrees"}],
   "not_compared": [{"definition", "why"}]}],
 "setups": [{"setup", "question", "n_families", "changes", "answers": [{"answer", "families": ["METHOD: FAMILY"]}]}]}
Questions: "top_mean" (layer with the highest equal-subject mean), "top_contrast" (layer with the largest D_k, or "no
layer" where its p is not below alpha by Holm over the six layers), "muscle" ("muscle", "non_muscle" or "open": the
interval of the paired difference holds 0 or is withheld). An answer "split" is of a family whose members differ, "none"
of a definition without values. Numbers are floats in the definition's units, null where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .cohort import Settings, Subjects, region_values, subjects_of
from .definitions import PRESETS
from .draws import Draws
from .families import families_dict, family_of
from .folds import LogitSd, compares_scans, folded, reduced_per_sd
from .inference import difference as class_difference
from .inference import holm, mean_interval, permutation_p
from .reduction import Reduction
from .reductions import REDUCTIONS
from .regions import LAYER_ROWS, REGION_ORDER, ROW_OF
from .stored import NEEDS_VOLUMES, StoredMaps, evaluate, stored_maps
from .summary import CAPTION, DISCLAIMER, _classifier, _spreads, clean, pairs_of, scans_by_id
from .tables import Cell, cells

SCHEMA_VERSION = 1
QUESTIONS = ("top_mean", "top_contrast", "muscle")
_WITH_VALUES = ("layer_ablation", "layer_shapley")
_HOUSE = [r.key for r in REGION_ORDER]


def compare(
    layers: Any,
    scans: Any,
    *,
    definitions: Sequence[Reduction] | None = None,
    histograms: Any = None,
    slices: Any = None,
    targets: Mapping[str, tuple[str, str | None]] | None = None,
    logit_sd: LogitSd = None,
    seed: int = 0,
    replicates: int = 1999,
) -> dict[str, Any]:
    """Run definitions (default all of REDUCTIONS, and the value methods) on the stored tables; keys: see the module.

    layers, scans, targets: as in `summary` (layers may be the list that `cells` gives). histograms, slices: pyarrow
    tables of the run, None: definitions that need them are listed under not_compared. logit_sd: as in `summary`; only
    one by fold changes an answer. Raises what `summary` raises.
    """
    found = cells(layers)
    pairs = pairs_of(found, None, None, targets)
    by_scan = scans_by_id(scans)
    found = folded(found, by_scan, _spreads(found, logit_sd), _classifier)
    chosen = list(REDUCTIONS.values()) if definitions is None else list(definitions)
    maps = {id(one.cell): one for one in stored_maps(found, histograms, slices)}
    out = []
    for cell in found:
        settings = Settings(*pairs[cell.key["target"]], seed, replicates)
        values, skipped = _values(cell, maps.get(id(cell)), chosen)
        out.append(_cell(cell, subjects_of(cell, by_scan, settings), values, skipped, settings))
    said = {"seed": seed, "replicates": replicates, "confidence": 0.95, "alpha": Settings().alpha,
            "questions": list(QUESTIONS)}  # fmt: skip
    return dict(clean({
        "schema_version": SCHEMA_VERSION, "caption": CAPTION, "disclaimer": DISCLAIMER, "settings": said,
        "families": families_dict(), "cells": out, "setups": _setups(out),
    }))  # fmt: skip


def _values(
    cell: Cell, maps: StoredMaps | None, chosen: Sequence[Reduction]
) -> tuple[list[tuple[dict[str, Any], np.ndarray]], list[dict[str, str]]]:
    """(facts, (scans, 11)) of each definition that can be compared, and why the others cannot."""
    if maps is None:
        name = cell.key["method"]
        facts = {"definition": name, "definition_sha256": PRESETS[name].sha256_short, "how": "exact", "units": "target"}
        return [(facts, region_values(cell, name))], []
    done: list[tuple[dict[str, Any], np.ndarray]] = []
    skipped = []
    for one in chosen:
        if one.statistic.facts.cohort:
            skipped.append({"definition": one.name, "why": "a number of the cohort has no subjects to compare"})
            continue
        if cell.folds is not None and compares_scans(one):
            skipped.append({"definition": one.name, "why": "maps of each fold's own model have no common extremes"})
            continue
        found = evaluate(maps, one)
        keys = [f"{r.kind}:{r.name}" for r in found.regions]
        if (found.how == NEEDS_VOLUMES).any():
            skipped.append({"definition": one.name, "why": found.why})
        elif missing := [key for key in _HOUSE if key not in keys]:
            skipped.append({"definition": one.name, "why": f"it has no {missing[0]}"})
        else:
            how = "histogram" if found.how.any() else "exact"
            facts = {"definition": one.name, "definition_sha256": one.sha256_short, "how": how, "units": one.units}
            values = found.value[:, [keys.index(key) for key in _HOUSE]]
            done.append((facts, reduced_per_sd(cell, values, one)))
    return done, skipped


def _cell(
    cell: Cell,
    who: Subjects,
    values: list[tuple[dict[str, Any], np.ndarray]],
    skipped: list[dict[str, str]],
    settings: Settings,
) -> dict[str, Any]:
    rows = [] if not values else _rows(cell, who, values, settings)
    return {
        **cell.key, "n_subjects": len(who.names), "n_case": int(who.is_case.sum()),
        "n_control": int(who.is_control.sum()), "definitions": rows, "families": _families(rows),
        "not_compared": skipped,
    }  # fmt: skip


def _rows(
    cell: Cell, who: Subjects, values: list[tuple[dict[str, Any], np.ndarray]], settings: Settings
) -> list[dict[str, Any]]:
    """All definitions at once: one permutation of subjects, one bootstrap, columns side by side."""
    x = who.mean(np.concatenate([v for _, v in values], axis=1)).reshape(len(who.names), len(values), len(REGION_ORDER))
    layers = x[:, :, list(LAYER_ROWS)]
    flat = layers.reshape(len(x), -1)
    case, control = who.split(flat)
    shape = layers.shape[1:]
    draws = Draws(settings.seed, "compare p", *cell.words)
    p = permutation_p(case, control, draws, replicates=settings.replicates).reshape(shape)
    d = class_difference(case, control)[0].reshape(shape)
    there = ~np.isnan(layers)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, layers, 0.0).sum(axis=0) / there.sum(axis=0)
    gap = x[:, :, ROW_OF["group", "non_muscle"]] - x[:, :, ROW_OF["group", "muscle"]]
    interval = mean_interval(gap, Draws(settings.seed, "compare", *cell.words), replicates=settings.replicates)
    rows = []
    for i, (facts, _) in enumerate(values):
        muscle = {name: float(getattr(interval, name)[i]) for name in ("estimate", "low", "high")}
        rows.append(_row(facts, mean[i], d[i], p[i], muscle, settings.alpha))
    return rows


def _row(
    facts: dict[str, Any], mean: np.ndarray, d: np.ndarray, p: np.ndarray, muscle: dict[str, float], alpha: float
) -> dict[str, Any]:
    top, most = _top(mean), _top(d)
    adjusted = holm(p)
    answers = {
        "top_mean": "none" if top is None else _name(top),
        "top_contrast": "none" if most is None else _name(most) if adjusted[most] < alpha else "no layer",
        "muscle": "muscle" if muscle["high"] < 0 else "non_muscle" if muscle["low"] > 0 else "open",
    }
    contrast = {} if most is None else {"estimate": d[most], "p": p[most], "p_holm": adjusted[most]}
    return {
        **facts, "family": family_of(facts["definition"]),
        "top_mean": None if top is None else {"region": _name(top), "estimate": mean[top]},
        "top_contrast": None if most is None else {"region": _name(most), **contrast},
        "muscle": muscle, "answers": answers,
    }  # fmt: skip


def _top(x: np.ndarray) -> int | None:
    return None if np.isnan(x).all() else int(np.nanargmax(x))


def _name(layer: int) -> str:
    return REGION_ORDER[LAYER_ROWS[layer]].name


def _families(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    out = []
    for name in dict.fromkeys(row["family"] for row in rows):
        mine = [row for row in rows if row["family"] == name]
        answers = {q: _one_answer([row["answers"][q] for row in mine]) for q in QUESTIONS}
        out.append({"family": name, "definitions": [row["definition"] for row in mine], "answers": answers,
                    "agrees": "split" not in answers.values()})  # fmt: skip
    return out


def _one_answer(answers: Sequence[str]) -> str:
    return answers[0] if len(set(answers)) == 1 else "split"


def _setups(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per setup and question the answers, each with the families that give it. The maps of single channels are left
    out; members of an ensemble, fills and masks that differ make a family "split"."""
    out = []
    whole = [cell for cell in found if not cell["channel"]]
    for setup in dict.fromkeys(cell["setup"] for cell in whole):
        for question in QUESTIONS:
            said: dict[str, list[str]] = {}
            for cell in whole:
                if cell["setup"] != setup:
                    continue
                method = "coalitions" if cell["method"] in _WITH_VALUES else cell["method"]
                for family in cell["families"]:
                    said.setdefault(f"{method}: {family['family']}", []).append(family["answers"][question])
            answers: dict[str, list[str]] = {}
            for line, given in said.items():
                answers.setdefault(_one_answer(given), []).append(line)
            rows = [
                {"answer": a, "families": lines}
                for a, lines in sorted(answers.items(), key=lambda x: (-len(x[1]), x[0]))
            ]
            out.append({"setup": setup, "question": question, "n_families": len(said), "changes": len(rows) > 1,
                        "answers": rows})  # fmt: skip
    return out
