"""The graphs' part of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pages import text as page_text
from pages.text import brief

Row = dict[str, Any]
Pairs = dict[str, tuple[str, str]]


def _torch_over_engine(names: Sequence[str]) -> Pairs:
    return {name: ("torch", name) for name in names if name != "torch"}


def _map_over_alone(names: Sequence[str]) -> Pairs:
    mapped = {name: other for other in names for name in names if other.startswith(f"{name} + ")}
    return {name: (other, name) for name, other in mapped.items()}


# Which contestant's time is divided by which, for the names of a table.
RATIOS: dict[str, Callable[[Sequence[str]], Pairs]] = {
    "torch_over_engine": _torch_over_engine,
    "map_over_alone": _map_over_alone,
}


def ratio(row: Row, above: str, below: str) -> float:
    """Median over median, as everywhere on the page."""
    return float(row["milliseconds"][above]["median"] / row["milliseconds"][below]["median"])


def table(rows: Sequence[Row], ratios: str) -> str:
    """Medians in ms; ratios of the medians, with 10 to 90 % of the ratios round by round."""
    names = list(rows[0]["milliseconds"])
    pairs = RATIOS[ratios](names)
    head = ["network", "threads", *(f"{n} ms" for n in names), *(f"{n}: {ratios.replace('_', ' ')}" for n in pairs)]
    lines = []
    for row in rows:
        medians = [f"{row['milliseconds'][n]['median']:.4g}" for n in names]
        ranges = [
            f"{ratio(row, *pair):.3g} ({row[ratios][n]['p10']:.3g}-{row[ratios][n]['p90']:.3g})"
            for n, pair in pairs.items()
        ]
        lines.append([row["network"], str(row["threads"]), *medians, *ranges])
    return page_text.table(head, lines, right=0)


def graphs(found: dict[str, Any]) -> str:
    """Both tables, and how many rounds they come from."""
    held = found["graphs"]
    said = f"{held['rounds']} rounds; medians in ms; in brackets 10 to 90 % of the ratios round by round."
    tables = table(held["gradient"], "torch_over_engine"), table(held["gradcam"], "map_over_alone")
    return "\n\n".join((f"{brief(held['machine'])} {said}", *tables))
