"""Numbers and tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, right: int = 1) -> str:
    """A Markdown table; the first `left` and the last `right` columns are text, the others numbers."""
    rule = ["---" if i < left or i >= len(head) - right else "--:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in (head, rule, *rows))


def number(value: float) -> str:
    """Three digits, without a power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{number(value)}x"


def brief(machine: dict[str, Any]) -> str:
    """What changes from file to file on one machine."""
    state = " with uncommitted changes" if machine["uncommitted_changes"] else ""
    load = f"; load {machine['load']} before and {machine.get('load_after', '-')} after" if "load" in machine else ""
    return f"{machine['cpu']}, {machine['logical_cores']} cores{load}; commit {machine['commit']}{state}."


def facts(machine: dict[str, Any]) -> str:
    """One paragraph from the facts that a results file holds."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    state = " with uncommitted changes" if machine["uncommitted_changes"] else ""
    parts = [f"{machine['cpu']}, {machine['logical_cores']} cores"]
    if "caches" in machine:
        parts += [f"caches {', '.join(machine['caches'])}", f"{machine['memory_gb']} GB", f"kernel {machine['kernel']}"]
        parts += [f"{machine['libc']}", f"native code {machine['isa']} by {machine['compiler']}"]
        parts += [f"load {machine['load']} before and {machine.get('load_after', '-')} after"]
    parts += [f"Python {machine['python']}", versions, f"commit {machine['commit']}{state}"]
    return "; ".join(parts) + "."
