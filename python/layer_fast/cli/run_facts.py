"""What a run says of itself in run.json, and what statistics need of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..config import RESULT_VERSION
from ..errors import LayerFastError
from ..models.manifest import Target
from ..quantify import split_at
from ..steps.record import target_name


def classifier_facts(results: Path) -> dict[str, Any]:
    """What statistics need of the classifiers of a run: `logit_sd` and `targets` of `quantify.summary`."""
    facts = run_facts(results)
    classifiers = [p for p in facts["models"] if p["target"] is not None]
    spread: dict[str, Any] = {}
    for p in classifiers:
        name = f"{p['setup']}/{p['name']}/{p['member']}"
        if "fold" in p:  # a fold map: one model for each
            spread.setdefault(name, {})[p["fold"]] = p["logit_sd_train"]
        else:
            spread[name] = p["logit_sd_train"]
    return {"logit_sd": spread, "targets": cell_classes(facts)}


def cell_classes(facts: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Target text of the tables -> (positive class, negative class or None for every other), of a run.json."""
    explained = [p for p in facts["models"] if p["target"] is not None]
    return {target_name(Target(**p["target"]), facts["config"]["target"]): model_classes(p) for p in explained}


def model_classes(model: dict[str, Any]) -> tuple[str, str | None]:
    """(positive, negative) of a classifier of run.json; of a threshold the levels at or above it and those below."""
    target = Target(**model["target"])
    return split_at(model["classes"], target.positive) if target.at_or_above else (target.positive, target.negative)


def run_facts(results: Path) -> dict[str, Any]:
    """run.json of a run of this version: what an older one means by a column or a number may be another thing."""
    path = results / "run.json"
    if not path.is_file():
        raise LayerFastError(f"{results}: expected the results of a run, found no run.json")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LayerFastError(f"{path}: expected the facts of a run as JSON, found: {error}") from error
    found = facts.get("result_version") if isinstance(facts, dict) else None
    if found != RESULT_VERSION:
        raise LayerFastError(
            f"{path}: expected results of version {RESULT_VERSION}, found version {found}; `layer-fast run` into this "
            f"folder makes them anew"
        )
    if not facts.get("ended", True):
        raise LayerFastError(
            f"{path}: expected a run that has ended, found one that is at work or was killed, whose tables are not yet "
            f"written; `layer-fast run` into this folder goes on"
        )
    return dict(facts)
