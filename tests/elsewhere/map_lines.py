"""Maps along one line, whose numbers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from layer_fast import quantify_map

LAYERS = ("a", "b", "c")


def line(values: Sequence[float]) -> np.ndarray:
    return np.array(values, np.float32)[None, None]


def table(values: Any, labels: Any, statistic: Any, **fields: Any) -> dict[str, dict[str, Any]]:
    """Rows by region of one definition; values and labels along a line, or as (z, y, x)."""
    options = {key: fields.pop(key) for key in ("layers", "spacing_mm") if key in fields}
    s = np.asarray(values, np.float32)
    mask = np.asarray(labels, np.uint8)
    s, mask = (x[None, None] if x.ndim == 1 else x for x in (s, mask))
    definition = {"name": "it", "statistic": statistic, "groups": {}, **fields}
    found = quantify_map(s, mask, definitions=definition, layers=options.pop("layers", LAYERS), **options)
    return {f"group:{r['region']}" if r["region_kind"] == "group" else r["region"]: r for r in found.rows}


def numbers(values: Any, labels: Any, statistic: Any, **fields: Any) -> dict[str, float]:
    return {name: row["value"] for name, row in table(values, labels, statistic, **fields).items()}
