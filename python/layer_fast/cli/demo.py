"""demo: plant a truth, run everything, say whether it was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..config import make_config
from ..report import layer_table_text
from .phantom import planted
from .progress import progress
from .run import run_with_progress
from .summary_files import write_summary


def run_demo(out: Path, driver: str | None, subjects: int, seed: int, *, as_json: bool) -> int:
    from ..phantom import make_cohort

    effects = planted(driver)
    truth = f"{driver}, B-mode, +{effects[0].size:g} dB in the cases" if effects else "nothing (a null cohort)"
    print(f"planted: {truth}", file=sys.stderr)
    name = f"cohort-{driver or 'null'}-{subjects}-{seed}"
    folder = out / name
    with progress("phantom scans") as tick:
        table = make_cohort(folder, subjects=subjects, scans_per_subject=2, effects=effects, seed=seed, progress=tick)
    # The truth masks lie beside the volumes, but the demo segments: that is the flow a user has.
    stopped, run = run_with_progress(table, "reference", out, make_config({"mask": "model"}))
    if stopped:
        return stopped
    summary = write_summary(out)
    verdict = judge(summary, driver)
    if as_json:
        print(json.dumps({"planted": driver, **verdict, "counts": run.counts}, sort_keys=True))
    else:
        print(layer_table_text(summary))
        print(f"\nplanted: {truth}\nfound:   {verdict['text']}")
        print(f"\npictures and all gates: {out / 'report.html'}")
        print("your own data: layer-fast run cohort.csv --models DIR --out results")
    return 0 if verdict["right"] and run.exit_code == 0 else 3


def judge(summary: dict[str, Any], driver: str | None) -> dict[str, Any]:
    """Hold the answers against the truth. Right: the B-mode setup names the planted layer and no setup names another.

    The setup both may stay silent: it reads the same change beside a modality without one, so it has less power.
    """
    found = {answer["setup"]: answer["driver"] for answer in summary["answers"]}
    named = {name for name in found.values() if name is not None}
    right = found.get("bmode") == driver and named <= {driver}
    text = "; ".join(f"{setup}: {name or 'no single driver'}" for setup, name in found.items())
    return {"right": right, "found": found, "text": f"{text} – {'as planted' if right else 'NOT as planted'}"}
