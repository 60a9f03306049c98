"""The table of evidence at scale for benchmarks/README.md."""

from __future__ import annotations

from typing import Any

from pages.text import facts, table

GOAL = {"wall_s": 60, "peak_mib": 1024}
NAMES = {
    "requantify": "requantify: every number again from its parts, compared bit by bit",
    "claims": "claims with their gates",
    "statistics": "stats: contrasts, effect sizes, strata, calibration",
    "compare": "compare: other definitions, by families",
    "all": "requantify and all that `layer-fast report` writes, in one process",
}


def evidence(found: dict[str, Any]) -> str:
    """Seconds and peak memory by step, and whether the whole keeps to its goal."""
    rows = [
        [NAMES[step["step"]], f"{step['wall_s']:.1f}", f"{step['cpu_s']:.1f}", str(step["peak_mib"])]
        for step in found["steps"]
    ]
    said = f"Goal of the whole: under {GOAL['wall_s']} s and {GOAL['peak_mib']} MiB. {_reached(found)}"
    head = ["step", "s", "CPU s", "peak MiB"]
    return "\n\n".join((facts(found["machine"]), table(head, rows, right=0), said))


def whole(found: dict[str, Any]) -> dict[str, Any]:
    """The step that does everything in one process."""
    return next(step for step in found["steps"] if step["step"] == "all")


def _reached(found: dict[str, Any]) -> str:
    missed = [name for name, most in GOAL.items() if whole(found)[name] >= most]
    return f"**Not reached: {', '.join(missed)}.**" if missed else "Reached."
