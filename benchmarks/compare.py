"""Did a ratio to a main rival get worse? Ratios come from one process, so they hold across machines better than times.

    python benchmarks/compare.py OLD.json NEW.json [--margin 0.25]

Compares ops_cpu.json files: for every case, heap, thread count and rival with a goal, the ratio may shrink by at most
`margin` (0.25: to three quarters). Exit 0: none worse; 1: some are worse, or measured before and gone now, or
our result disagrees with the oracle; 2: the files cannot be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

MARGIN = 0.25  # the same code moved ratios by up to 30 % on a busy machine, by a few percent on a quiet one
Found = dict[str, Any]


def ratios(found: Found) -> Iterator[tuple[str, float]]:
    """("case, heap heap, n threads, rival", ratio of its median to ours) of every main rival."""
    for name, case in found["cases"].items():
        for heap, by_threads in case.get("heaps", {}).items():
            for threads, rows in by_threads.items():
                for rival in case.get("goals", {}):
                    if rival in rows:
                        yield f"{name}, {heap} heap, {threads} thread(s), {rival}", float(rows[rival]["ratio"])


def regressions(old: Found, new: Found, margin: float) -> list[str]:
    """A line for each ratio that shrank by more than the margin, is gone, or belongs to a case that failed."""
    before, after = dict(ratios(old)), dict(ratios(new))
    lines = [f"{name}: failed: {case['failed']}" for name, case in new["cases"].items() if "failed" in case]
    for key, ratio in before.items():
        if key not in after:
            lines.append(f"{key}: was {ratio:.3g}x, is not measured any more")
        elif after[key] < ratio * (1 - margin):
            lines.append(f"{key}: was {ratio:.3g}x, is {after[key]:.3g}x")
    return lines


def load(path: Path) -> Found:
    """Raises ValueError where the file holds no results of run_ops."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("cases"), dict):
        raise ValueError(f"{path}: expected results of run_ops.py")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--margin", type=float, default=MARGIN, help=f"part of a ratio that may be lost ({MARGIN})")
    options = parser.parse_args(arguments)
    try:
        old, new = load(options.old), load(options.new)
        if old.get("quick") != new.get("quick") or old.get("format") != new.get("format"):
            raise ValueError("one file has small sizes or another format: nothing to compare")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if old["machine"].get("cpu") != new["machine"].get("cpu"):
        print(f"note: {old['machine'].get('cpu')} then, {new['machine'].get('cpu')} now", file=sys.stderr)
    worse = regressions(old, new, options.margin)
    print("\n".join(worse) or f"no ratio of {len(dict(ratios(old)))} is more than {options.margin:.0%} worse")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
