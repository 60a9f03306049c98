"""The two classes that a setup compares, and on which side of them a scan's label is."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...types import SETUPS


class Classes(NamedTuple):
    """positive, negative: names of the classes; negative None: every other label. levels: the labels of each side
    ("positive", "negative") where the classes are levels of an order, else None."""

    positive: str
    negative: str | None
    levels: dict[str, list[str]] | None

    def is_case(self, label: str | None) -> bool | None:
        """None: the label is of neither class."""
        if self.levels is not None:
            sides = {True: self.levels["positive"], False: self.levels["negative"]}
            return next((side for side, labels in sides.items() if label in labels), None)
        if label == self.positive:
            return True
        other = bool(label) if self.negative is None else label == self.negative
        return False if other else None


def classes_of(cells: list[dict[str, Any]]) -> dict[str, Classes]:
    """Setup -> its two classes; a setup whose classifiers compare different classes has no margin of its own in
    scans.parquet and is left out."""
    found: dict[str, Classes] = {}
    for setup in SETUPS:
        own = {(c["positive"], c["negative"]): c["levels"] for c in cells if c["setup"] == setup}
        if len(own) == 1:
            (positive, negative), levels = own.popitem()
            found[setup] = Classes(positive, negative, levels)
    return found


def class_names(cells: list[dict[str, Any]]) -> tuple[str, str]:
    """What the report calls the two classes: their names where all setups compare the same."""
    pairs = {(c["positive"], c["negative"] or "all others") for c in cells}
    return pairs.pop() if len(pairs) == 1 else ("the first class", "the second class")
