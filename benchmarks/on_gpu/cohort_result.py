"""What the steps of the GPU cohort left in their folder, as one result: rates, stages, agreement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from measuring.machine import basics
from measuring.turns import spread
from on_gpu.cohort_inputs import Folders, Settings
from on_gpu.cohort_ours import numbers

FORMAT = 1
# As in headline.py: relative to the largest of its kind. "other": half precision or TF32 on one of the two sides.
TOLERANCE = {"float32": 1e-3, "other": 5e-2}
NUMBERS = ("count", "mean", "std", "min", "max", "margin")
Found = dict[str, Any]


def write(path: Path, found: Found) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    part.replace(path)


def parts(folders: Folders) -> list[Found]:
    """What the calls did of the cohort, in their order."""
    return [json.loads(path.read_text()) for path in sorted(folders.run.glob("part_*.json"))]


def add_part(folders: Folders, found: Found) -> None:
    write(folders.run / f"part_{len(parts(folders)):04}.json", found)


def script_scans(folders: Folders, variant: str) -> int:
    return len(_script(folders, variant).get("scans", []))


def _script(folders: Folders, variant: str) -> Found:
    path = folders.run / f"script_{variant}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def gathered(folders: Folders) -> Found:
    """The result as far as it goes. agreed: True, False, or None where nothing was compared yet."""
    settings = Settings.read(folders.settings)
    work, held = settings.work, parts(folders)
    stages = folders.run / "stages.json"
    found: Found = {
        "format": FORMAT, "device": settings.device, "quick": settings.quick, "complete": False, "agreed": None,
        "machine": machine(settings), "settings": asdict(settings),
        "workload": {"scan": list(work.scan), "model": list(work.model)},
        "cohort": cohort(held) if held else None,
        "stages": by_stage(json.loads(stages.read_text())) if stages.exists() else None,
        "script": {},
    }  # fmt: skip
    if not held or not held[-1]["complete"]:
        return found
    ours = numbers(folders, settings.scans)
    from on_gpu.cohort_script import variants

    for variant in variants(settings.device):
        if script_scans(folders, variant):
            found["script"][variant] = compared(_script(folders, variant), variant, ours, held[-1]["engine"])
    sides = list(found["script"].values())
    if sides:
        found["agreed"] = all(side["agreement"]["agrees"] for side in sides)
    ended = [side["scans"] >= settings.scans for side in sides]
    found["complete"] = found["stages"] is not None and len(ended) == len(variants(settings.device)) and all(ended)
    return found


def machine(settings: Settings) -> Found:
    """Processor, cards, driver, versions, commit."""
    from layer_fast.engines import inventory

    facts, cards = basics(), inventory.gpus() if settings.device == "cuda" else {"gpus": [], "cuda": None}
    for name in ("cupy-cuda13x", "tensorrt", "tensorrt_rtx_cu13", "nibabel"):
        try:
            facts["versions"][name] = version(name)
        except PackageNotFoundError:
            continue
    return facts | {"commit": settings.commit, "gpus": cards["gpus"], "cuda_of_driver": cards["cuda"]}


def cohort(held: Sequence[Found]) -> Found:
    """The parts together. scans_per_second: from the first batch's end to the last scan, None where no batch followed
    the first; whole_scans_per_second: with each call's start, the choice and opening of engines, and the tables."""
    scans, seconds = sum(p["scans"] for p in held), sum(p["seconds"] for p in held)
    steady, steady_s = sum(p["steady_scans"] for p in held), sum(p["steady_seconds"] for p in held)
    spent: Counter[str] = Counter()
    for one in held:
        spent.update(one["stages"])
    peaks = [p["memory"]["peak_mb"] for p in held if p["memory"]["peak_mb"] is not None]
    last = held[-1]
    return {
        "parts": len(held), "scans": scans, "seconds": round(seconds, 2),
        "scans_per_second": _rate(steady, steady_s), "whole_scans_per_second": _rate(scans, seconds),
        "counts": last["counts"], "complete": last["complete"], **by_stage({"stages": dict(spent), "scans": scans}),
        "peak_device_mb": max(peaks, default=None),
        "device_mb_before": held[0]["memory"]["before_mb"],
        "engine": last["engine"], "engine_choice": last["engine_choice"], "config": last["config"],
        "load": [p["load"] for p in held],
    }  # fmt: skip


def by_stage(found: Found) -> Found:
    """Milliseconds a scan by stage, parts of a stage ("explain.gradcam") beside it, and the stage that took longest."""
    per_scan = {name: round(1e3 * s / max(1, found["scans"]), 3) for name, s in found["stages"].items()}
    whole = {name: ms for name, ms in per_scan.items() if "." not in name}
    more = {key: found[key] for key in ("scans", "seconds", "waited") if key in found}
    return more | {"ms_per_scan": per_scan, "bottleneck": max(whole, key=lambda name: whole[name], default="")}


def compared(script: Found, variant: str, ours: dict[str, Any], engine: Found) -> Found:
    """One variant of the script: who it is, how far its numbers are from ours, and, where they agree, its times."""
    exact = variant == "float32" and engine["precision"] == "float32"
    rows = script["scans"]
    verdict = agreement([row["numbers"] for row in rows], [ours[f"scan{i:05}"] for i in range(len(rows))],
                        TOLERANCE["float32" if exact else "other"])  # fmt: skip
    found = {key: script[key] for key in ("name", "variant", "why_not_monai", "torch")}
    found |= {"scans": len(rows), "agreement": verdict}
    if verdict["agrees"]:
        totals = [row["total"] for row in rows]
        names = list(rows[0]["stages"])
        found |= {
            "scans_per_second": _rate(len(totals), sum(totals)), "ms": spread([1e3 * t for t in totals]),
            "stages_ms": {name: spread([1e3 * row["stages"][name] for row in rows])["median"] for name in names},
        }  # fmt: skip
    return found


def agreement(theirs: Sequence[Found], ours: Sequence[Found], tolerance: float) -> Found:
    """Largest difference over the scans of each number, relative to the largest of its kind in the scan (minima: to the
    map's largest value). A label that one side lacks, or a map that is zero, is no agreement: None."""
    worst: dict[str, float] = dict.fromkeys(NUMBERS, 0.0)
    for a, b in zip(theirs, ours, strict=True):
        for name in NUMBERS:
            worst[name] = max(worst[name], _apart(a, b, name))
    agrees = bool(theirs) and all(value <= tolerance for value in worst.values())
    shown = {name: float(f"{value:.3g}") if np.isfinite(value) else None for name, value in worst.items()}
    return {"agrees": agrees, "tolerance": tolerance, "scans": len(theirs)} | shown


def _apart(theirs: Found, ours: Found, name: str) -> float:
    a, b = (np.atleast_1d(np.asarray(side[name], np.float64)) for side in (theirs, ours))
    largest = np.abs(np.atleast_1d(np.asarray(ours["max" if name == "min" else name], np.float64)))
    known = np.isfinite(b)
    scale = float(np.max(largest[np.isfinite(largest)], initial=0.0))
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), known) or not scale > 0:
        return float("inf")
    return float(np.max(np.abs(a - b)[known], initial=0.0) / scale)


def _rate(count: int, seconds: float) -> float | None:
    return float(f"{count / seconds:.4g}") if count and seconds > 0 else None
