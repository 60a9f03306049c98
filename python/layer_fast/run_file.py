"""run.json and what stands beside it: what was run, with what, and what the next run in this folder keeps of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import _version
from .config import RESULT_VERSION, as_yaml
from .errors import ConfigError
from .files import write_atomic
from .guards.model_check import SCANS
from .runner import Runner
from .types import ScanRef


def kept_choice(out: Path) -> dict[str, Any] | None:
    """The engine of the run whose folder this is, with the reason for it, or None where there was none or its records
    are of another version. Raises ConfigError where run.json is there and does not say."""
    path = out / "run.json"
    try:
        facts = json.loads(path.read_bytes())
        if facts["result_version"] != RESULT_VERSION:
            return None  # its records are redone
        engine, choice = facts["engine"]["engine"], facts.get("engine_choice")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: expected the facts of an earlier run, found {type(error).__name__}: {error}; "
                          f"remove it or name another folder") from error  # fmt: skip
    if isinstance(choice, dict) and choice.get("chosen") == engine:
        return choice
    return {"chosen": engine, "why": "the engine of the run in this folder"}


def write_run(out: Path, runner: Runner, counts: dict[str, int] | None) -> None:
    """run.json: what was run, with what. Without counts the run has not ended."""
    complete = counts is not None and "pending" not in counts
    facts = {
        "layer_fast": _version.__version__, "result_version": RESULT_VERSION, "complete": complete,
        "scans": len(runner.refs), "counts": counts or {"pending": len(runner.refs)},
        "config": runner.config.model_dump(mode="json"), "config_sha256": runner.config.sha256(),
        "engine": runner.engine, "engine_choice": runner.engine_choice,
        "precision_agreement": runner.agreement, "models": runner.packages(),
        "donors": runner.donors.facts() if runner.donors is not None else [],
        "notice": "Research use only. Not a medical device. What a model uses is not what causes pain.",
    }  # fmt: skip
    if runner.map is not None:
        facts["fold_map"] = runner.map.facts()
    write_atomic(out / "run.json", as_json(facts))
    write_atomic(out / "config.yaml", as_yaml(runner.config))


def write_randomisation(out: Path, runner: Runner, current: Mapping[str, str]) -> None:
    """randomisation.json, from the first good scans of the table, or of each fold; without the guard an older one
    goes. current: status of every scan that has a record."""
    path = out / "randomisation.json"
    if "randomisation" not in runner.config.guards:
        path.unlink(missing_ok=True)
        return
    by_fold: dict[str | None, list[ScanRef]] = {}
    for ref in runner.refs:
        if current.get(ref.scan_id) in ("ok", "ok_degraded"):
            by_fold.setdefault(ref.fold if runner.map is not None else None, []).append(ref)
    good = [ref for refs in by_fold.values() for ref in refs[:SCANS]]
    rows = []
    for part in runner.parts(good):
        rows += part.randomisation()
        del part  # before the next fold's
    write_atomic(path, as_json({"scans": [ref.scan_id for ref in good], "models": rows}))


def as_json(value: dict[str, Any]) -> bytes:
    """The bytes of a file of facts: sorted keys, two spaces."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
