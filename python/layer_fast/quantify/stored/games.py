"""Target values of stored coalitions: what the value rows of a run were made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ordinal import Levels, members
from ..regions import NUM_LABELS

Floats = NDArray[np.float64]
GAME_KEYS = ("scan_id", "model", "member", "setup", "fill", "mask")
Key = tuple[str, ...]


class Games(NamedTuple):
    """values (games, 128): the target of every coalition. row: where the game of a key of GAME_KEYS is."""

    values: Floats
    row: dict[Key, int]


def games_of(coalitions: Any, targets: Mapping[tuple[str, str, str], tuple[str, str | None]], kind: str) -> Games:
    """Games from coalitions.parquet (pyarrow). targets: (setup, model, member) -> (positive class, negative or None for
    all others), both from `split_at` for a threshold. kind: "margin", "logit" or "probability", as the run's `target`.

    The arithmetic is that of the run, in its order: the same bits. Raises ValueError for a table without the classes
    of a target, without 128 values a row, or with a classifier that has no target.
    """
    logits = _matrix(coalitions.column("values"))
    keys = list(zip(*(coalitions.column(name).to_pylist() for name in GAME_KEYS), strict=True))
    outputs = [name.removeprefix("logit:") for name in coalitions.column("output").to_pylist()]
    rows: dict[Key, dict[str, int]] = {}
    for i, (key, output) in enumerate(zip(keys, outputs, strict=True)):
        rows.setdefault(key, {})[output] = i
    values = np.empty((len(rows), logits.shape[1]))
    for g, (key, classes) in enumerate(rows.items()):
        _, model, member, setup = key[:4]
        if (setup, model, member) not in targets:
            raise ValueError(
                f"[requantify] coalitions.parquet has the classifier {setup}/{model}/{member}, run.json none"
            )
        values[g] = _target(logits, classes, *targets[setup, model, member], kind)
    return Games(values, {key: g for g, key in enumerate(rows)})


def _target(logits: Floats, classes: dict[str, int], positive: str, negative: str | None, kind: str) -> Floats:
    high, low = members(positive), members(negative) if negative else ()
    missing = {*high, *low} - set(classes)
    if missing:
        raise ValueError(f"[requantify] expected coalition values of {positive} and {negative or 'others'}, "
                         f"found those of {', '.join(classes)}")  # fmt: skip
    if isinstance(positive, Levels):
        against = low if kind == "margin" else (*low, *high)
        odds = _log_sum_exp(logits, [classes[n] for n in high]) - _log_sum_exp(logits, [classes[n] for n in against])
        return odds if kind == "margin" else np.asarray(np.exp(odds))
    own = logits[classes[positive]]
    if kind == "logit":
        return np.asarray(own, np.float64)
    if kind == "probability":
        return np.asarray(np.exp(own - _log_sum_exp(logits, list(classes.values()))))
    if negative is not None:
        return np.asarray(own - logits[classes[negative]])
    return np.asarray(own - _log_sum_exp(logits, [i for name, i in classes.items() if name != positive]))


def _log_sum_exp(logits: Floats, rows: list[int]) -> Floats:
    """log(sum(exp)) over classes, whose rows are laid out as the run has them, (128, classes)."""
    values = np.ascontiguousarray(logits[rows].T)
    top = values.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).sum(axis=-1)) + top[..., 0], np.float64)


def _matrix(column: Any) -> Floats:
    import pyarrow.compute as compute

    lengths = np.asarray(compute.list_value_length(column).to_numpy())
    if (lengths != 1 << NUM_LABELS).any():
        raise ValueError(f"[requantify] expected {1 << NUM_LABELS} coalition values a row, got {lengths.min()}")
    flat = compute.list_flatten(column).to_numpy()
    return np.asarray(flat, np.float64).reshape(-1, 1 << NUM_LABELS)
