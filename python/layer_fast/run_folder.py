"""The folder of a run: run.json and config.yaml, what an earlier run left there, and what a killed one left half
written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import _version
from .config import RESULT_VERSION, as_yaml
from .errors import ConfigError
from .files import sweep, write_atomic
from .pipeline import Pipeline
from .types import ScanRef


def sweep_leftovers(out: Path) -> None:
    """Remove what a killed run left half written, and nothing else: the folder may hold files of the user's."""
    sweep(out, "(?:run|timings|claims|games|stats|compare|guards|randomisation)[.]json|config[.]yaml|report[.]html")
    sweep(out, "(?:scans|layers|coalitions|histograms|slices|guards|definitions|target)[.]parquet")
    sweep(out / "pictures", "[0-9a-f]{32}[.]npz")
    for folder in (out / "ledger").glob("??"):
        sweep(folder, "[0-9a-f]{32}[.]json")


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
    except NotADirectoryError:
        raise ConfigError(f"{out}: expected a folder for the results, found a file there or above it") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: expected the facts of an earlier run, found {type(error).__name__}: {error}; "
                          f"remove it or name another folder") from error  # fmt: skip
    if isinstance(choice, dict) and choice.get("chosen") == engine:
        return choice
    return {"chosen": engine, "why": "the engine of the run in this folder"}


def write_run(out: Path, pipeline: Pipeline, refs: list[ScanRef], counts: dict[str, int] | None) -> None:
    """run.json: what was run, with what. Without counts the run has not ended: what tables there are, are older."""
    complete = counts is not None and "pending" not in counts
    packages = [
        {"name": p.manifest.name, "role": p.manifest.role, "setup": p.manifest.setup, "member": p.manifest.member,
         "sha256": p.sha256, "logit_sd_train": p.manifest.logit_sd_train, "training_data": p.manifest.training_data,
         "classes": p.manifest.classes, "ordinal": p.manifest.ordinal,
         "target": None if p.manifest.target is None else p.manifest.target.model_dump()}
        for p in pipeline.models.packages
    ]  # fmt: skip
    facts = {
        "layer_fast": _version.__version__, "result_version": RESULT_VERSION, "ended": counts is not None,
        "complete": complete, "scans": len(refs), "counts": counts or {"pending": len(refs)},
        "config": pipeline.config.model_dump(mode="json"), "config_sha256": pipeline.config.sha256(),
        "engine": pipeline.facts.fixed["engine"], "engine_choice": pipeline.engine_choice,
        "precision_agreement": pipeline.precision_agreement, "models": packages,
        "donors": pipeline.donors.facts() if pipeline.donors is not None else [],
        "notice": "Research use only. Not a medical device. What a model uses is not what causes pain.",
    }  # fmt: skip
    write_atomic(out / "run.json", as_json(facts))
    write_atomic(out / "config.yaml", as_yaml(pipeline.config))


def as_json(value: dict[str, Any]) -> bytes:
    """Bytes of a JSON file of a run: sorted keys, two-space indent."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
