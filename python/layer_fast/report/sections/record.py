"""Failures, flags and provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .words import USED, cell_name, named

_MEANING = {
    "ok": "numbers",
    "ok_degraded": "numbers, but the model was not made for such a scan",
    "quarantined": "no numbers: the input is at fault",
    "failed": "no numbers: the software or the machine is at fault",
    "pending": "not run yet",
}
NAMED = 4  # models or masks named in the head of the page
LISTED_SCANS = 50  # bad scans named in the report; scans.parquet has them all


def failures(claims: dict[str, Any], scans: list[dict[str, Any]], cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by status, the scans without numbers, and every flag and exclusion with how often it was met."""
    bad = [row for row in scans if row["status"] not in USED]
    return {
        "counts": [(name, n, _MEANING.get(name, "")) for name, n in sorted(claims["scans"]["by_status"].items())],
        "bad_scans": bad[:LISTED_SCANS],
        "bad_total": len(bad),
        "flags": sorted(_flags(row["flags"] for row in scans).items()),
        "cell_flags": [(cell_name(c), sorted(c["flags"].items())) for c in cells if c["flags"]],
        "excluded": [(cell_name(c), sorted(c["excluded"].items())) for c in cells if c["excluded"]],
    }


def banner(run: dict[str, Any], scans: list[dict[str, Any]]) -> str:
    waiting = sum(row["status"] == "pending" for row in scans)
    if run.get("complete") is True and not waiting:
        return ""
    left = f"{waiting} of {len(scans)} scans have not been run" if waiting else "it has not ended"
    return f"This run is not complete: {left}. The numbers will change."


def about(cells: list[dict[str, Any]]) -> str:
    """The classifiers and layer masks of the cells in a sentence, at most `NAMED` of each."""
    said = []
    for title, name in (("Classifiers", "model"), ("Layer masks", "mask")):
        own = list(dict.fromkeys(cell[name] for cell in cells))
        more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
        said.append(f"{title}: {', '.join(own[:NAMED])}{more}.")
    return " ".join(said) if cells else ""


def provenance(claims: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """The settings of the statistics and run.json, as lines."""
    return {"settings": sorted(_settings(claims["settings"]).items()), "facts": sorted(_flat(run).items())}


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    if settings["positive"] is None:
        return {**settings, "positive": "differs by target", "negative": "differs by target"}
    return named(settings)


def _flags(texts: Iterable[str | None]) -> Counter[str]:
    return Counter(flag for text in texts for flag in (text or "").split(";") if flag)


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """run.json as lines: "config.fill" -> "cohort_profile"."""
    if isinstance(value, (dict, list)) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        out: dict[str, str] = {}
        for key, part in pairs:
            out.update(_flat(part, f"{path}.{key}" if path else str(key)))
        return out
    return {path: "–" if value is None or value in ({}, [], "") else str(value)}
