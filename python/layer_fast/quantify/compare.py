"""Every definition on one cohort side by side: which conclusions change with the definition (compare.json).

{"schema_version", "caption", "disclaimer", "settings": {"seed", "replicates", "confidence", "alpha", "questions"},
 "families": [{"name", "members", "alike", "why"}],
 "cells": [{setup, method, model, member, fill, target, mask, channel, "n_subjects", "n_case", "n_control",
   "definitions": [{"definition", "definition_sha256", "family", "how" ("exact" | "histogram"), "units",
      "top_mean": {"region", "estimate"}, "top_contrast": {"region", "estimate", "p", "p_holm"},
      "muscle": {"estimate" (mean of non_muscle less mean of muscle), "low", "high"},
      "answers": {question: answer}}],
   "families": [{"family", "definitions", "answers": {question: answer}, "agrees"}],
   "hierarchies": [{"definition", "base", "hierarchy", "scans_without_value": {level: scans},
      "changes": [{"question", "plain", "answer"}]}],
   "not_compared": [{"definition", "why"}]}],
 "setups": [{"setup", "question", "n_families", "changes", "answers": [{"answer", "families": ["METHOD: FAMILY"]}]}]}
Questions: "top_mean" (layer with the highest equal-subject mean), "top_contrast" (layer with the largest D_k, or "no
layer" where its p is not below alpha by Holm over the six layers), "muscle" ("muscle", "non_muscle" or "open": the
interval of the paired difference holds 0 or is withheld). An answer "split" is of a family whose members differ, "none"
of a definition without values. A definition under another hierarchy (hierarchy.py) is of the family of its base, the
same definition with the equal mean over scans; `changes` lists where their answers differ. Numbers are floats in the
definition's units, null where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..config import VALUE_METHODS
from .beside_tables import classifier_of, logit_sds_of, pairs_of, scans_by_id
from .cohort import Settings, Subjects, subjects_of
from .compared import Chosen, Compared, of_cell
from .draws import Draws
from .families import families_dict
from .folds import LogitSd, folded
from .hierarchies import HIERARCHY_PRESETS
from .inference import difference as class_difference
from .inference import holm, mean_interval
from .permuted import permutation_p_of_many
from .reduction import Reduction
from .reductions import REDUCTIONS
from .regions import LAYER_ROWS, REGION_ORDER, ROW_OF
from .stored import stored_maps
from .summary import CAPTION, DISCLAIMER, clean
from .tables import Cell, cells

SCHEMA_VERSION = 1
QUESTIONS = ("top_mean", "top_contrast", "muscle")


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
    """Run definitions (default all of REDUCTIONS and HIERARCHY_PRESETS, and the value methods, which take the levels of
    these hierarchies) on the stored tables; keys: see the module.

    layers, scans, targets: as in `summary` (layers may be the list that `cells` gives). histograms, slices: pyarrow
    tables of the run, None: definitions that need them are listed under not_compared. logit_sd: as in `summary`; only
    one by fold changes an answer. Raises what `summary` raises, and ConfigError where one of `definitions` has a level
    whose column is not in the scans (of presets: not_compared).
    """
    found = cells(layers)
    pairs = pairs_of(found, None, None, targets)
    by_scan = scans_by_id(scans)
    found = folded(found, by_scan, logit_sds_of(found, logit_sd), classifier_of)
    presets = [*REDUCTIONS.values(), *HIERARCHY_PRESETS.values()]
    chosen = Chosen(presets if definitions is None else definitions, strict=definitions is not None)
    maps = {id(one.cell): one for one in stored_maps(found, histograms, slices)}
    out = []
    for cell in found:
        settings = Settings(*pairs[cell.key["target"]], seed, replicates)
        who = subjects_of(cell, by_scan, settings)
        values, skipped = of_cell(cell, maps.get(id(cell)), who, chosen)
        out.append(_cell(cell, who, values, skipped, settings))
    said = {"seed": seed, "replicates": replicates, "confidence": 0.95, "alpha": Settings().alpha,
            "questions": list(QUESTIONS)}  # fmt: skip
    return dict(clean({
        "schema_version": SCHEMA_VERSION, "caption": CAPTION, "disclaimer": DISCLAIMER, "settings": said,
        "families": families_dict(), "cells": out, "setups": _setups(out),
    }))  # fmt: skip


def _cell(
    cell: Cell,
    who: Subjects,
    values: list[Compared],
    skipped: list[dict[str, str]],
    settings: Settings,
) -> dict[str, Any]:
    rows = [] if not values else _rows(cell, who, values, settings)
    return {
        **cell.key, "n_subjects": len(who.names), "n_case": int(who.is_case.sum()),
        "n_control": int(who.is_control.sum()), "definitions": rows, "families": _families(rows),
        "hierarchies": _hierarchies(values, rows), "not_compared": skipped,
    }  # fmt: skip


def _rows(cell: Cell, who: Subjects, values: list[Compared], settings: Settings) -> list[dict[str, Any]]:
    """All definitions at once: one permutation of subjects, one bootstrap, columns side by side."""
    x = _on_subjects(who, values)
    layers = x[:, :, list(LAYER_ROWS)]
    flat = layers.reshape(len(x), -1)
    case, control = who.split(flat)
    shape = layers.shape[1:]
    draws = Draws(settings.seed, "compare p", *cell.words)
    p = permutation_p_of_many(case, control, draws, replicates=settings.replicates).reshape(shape)
    d = class_difference(case, control)[0].reshape(shape)
    there = ~np.isnan(layers)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, layers, 0.0).sum(axis=0) / there.sum(axis=0)
    gap = x[:, :, ROW_OF["group", "non_muscle"]] - x[:, :, ROW_OF["group", "muscle"]]
    interval = mean_interval(gap, Draws(settings.seed, "compare", *cell.words), replicates=settings.replicates)
    rows = []
    for i, one in enumerate(values):
        muscle = {name: float(getattr(interval, name)[i]) for name in ("estimate", "low", "high")}
        rows.append(_row(one, mean[i], d[i], p[i], muscle, settings.alpha))
    return rows


def _on_subjects(who: Subjects, values: list[Compared]) -> np.ndarray:
    """(subjects, definitions, 11): the mean over scans where nothing else was done."""
    out = np.empty((len(who.names), len(values), len(REGION_ORDER)))
    plain = [i for i, one in enumerate(values) if not one.hierarchy]
    if plain:
        together = np.concatenate([values[i].values for i in plain], axis=1)
        out[:, plain] = who.mean(together).reshape(len(who.names), len(plain), len(REGION_ORDER))
    for i, one in enumerate(values):
        if one.hierarchy:
            out[:, i] = one.values
    return out


def _row(
    one: Compared, mean: np.ndarray, d: np.ndarray, p: np.ndarray, muscle: dict[str, float], alpha: float
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
        **one.facts, "family": one.family,
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


def _hierarchies(values: list[Compared], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The definitions under another hierarchy beside the same ones under the plain one: which answers change."""
    answers = {row["definition"]: row["answers"] for row in rows}
    out = []
    for one in (v for v in values if v.hierarchy):
        name = one.facts["definition"]
        base = next((b for b in one.bases if b in answers), None)
        moved = [] if base is None else [
            {"question": q, "plain": answers[base][q], "answer": answers[name][q]}
            for q in QUESTIONS if answers[base][q] != answers[name][q]
        ]  # fmt: skip
        out.append({"definition": name, "base": base, "hierarchy": one.hierarchy,
                    "scans_without_value": one.empty, "changes": moved})  # fmt: skip
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
                method = "coalitions" if cell["method"] in VALUE_METHODS else cell["method"]
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
