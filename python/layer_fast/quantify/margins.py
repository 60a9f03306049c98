"""What is explained, from the logits of all classes: named numbers that a target may be changed to without a model.

Logits are stored for every class and coalition (coalitions.parquet), so each of these follows by arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


def target_of_logits(logits: Mapping[str, ArrayLike], target: str, *, levels: Sequence[str] | None = None) -> Float:
    """The number named `target` from logits by class, each (...): float64 (...).

    "margin:A-B": logit[A] - logit[B]. "margin:A-rest": log odds of A against all others, logit[A] - log(sum of
    exp(logit) over the others). "logit:A". "probability:A": softmax(logits)[A].
    Of ordered classes, `levels` from lowest to highest: "level": the expected level, sum over i of i * softmax(logits)
    [level i], i = 0 ... (a number on the ordinal scale, no margin). "margin:>=A": cumulative log odds at the threshold
    A, log P(level >= A) - log P(level < A) (McCullagh 1980, J. R. Statist. Soc. B 42:109). "probability:>=A":
    the sum of softmax(logits) over the levels at or above A.
    Raises ValueError for a target or class that is not known, naming those that are.
    """
    values = {name: np.asarray(one, np.float64) for name, one in logits.items()}
    kind, _, what = target.partition(":")
    if target == "level":
        stack = np.stack([values[name] for name in _ordered(values, levels, target)], axis=-1)
        return np.asarray(np.exp(stack - _log_sum(stack)[..., None]) @ np.arange(stack.shape[-1], dtype=np.float64))
    if kind in ("margin", "probability") and what.startswith(">="):
        return _at_or_above(values, kind, _known(what[2:], values, target), _ordered(values, levels, target))
    if kind == "margin":
        a, b = _pair(what, values, target)
        others = [values[n] for n in values if n != a] if b is None else [values[b]]
        return np.asarray(values[a] - _log_sum(np.stack(others, axis=-1)), np.float64)
    if kind == "logit":
        return values[_known(what, values, target)]
    if kind == "probability":
        own = values[_known(what, values, target)]
        return np.asarray(np.exp(own - _log_sum(np.stack(list(values.values()), axis=-1))), np.float64)
    raise ValueError(f"[margins] expected margin:A-B, margin:A-rest, margin:>=A, logit:A, probability:A, "
                     f"probability:>=A or level, got {target!r}")  # fmt: skip


def _at_or_above(values: Mapping[str, Float], kind: str, name: str, order: list[str]) -> Float:
    if order[0] == name:
        raise ValueError(f"[margins] '{kind}:>={name}': expected a threshold above the lowest level {name!r}")
    at = order.index(name)
    high, low, every = (
        _log_sum(np.stack([values[n] for n in part], axis=-1)) for part in (order[at:], order[:at], order)
    )
    return high - low if kind == "margin" else np.asarray(np.exp(high - every), np.float64)


def _pair(what: str, values: Mapping[str, Float], target: str) -> tuple[str, str | None]:
    """(A, B) of "A-B", B None for "rest"; class names may hold a "-", so every cut is tried."""
    cuts = [i for i, letter in enumerate(what) if letter == "-"]
    found = [(what[:i], what[i + 1 :]) for i in cuts if what[:i] in values and what[i + 1 :] in {*values, "rest"}]
    if len(found) != 1 or found[0][0] == found[0][1]:
        raise ValueError(f"[margins] {target!r}: expected two of the classes {', '.join(values)}, or one and rest")
    a, b = found[0]
    return a, None if b == "rest" else b


def _known(name: str, values: Mapping[str, Float], target: str) -> str:
    if name not in values:
        raise ValueError(f"[margins] {target!r}: expected one of the classes {', '.join(values)}, got {name!r}")
    return name


def _ordered(values: Mapping[str, Float], levels: Sequence[str] | None, target: str) -> list[str]:
    if levels is None or sorted(levels) != sorted(values):
        raise ValueError(f"[margins] {target!r}: expected levels, the classes {', '.join(sorted(values))} from lowest "
                         f"to highest, got {levels}")  # fmt: skip
    return list(levels)


def _log_sum(values: Float) -> Float:
    """log(sum(exp(values))) along the last axis, without overflow."""
    top = values.max(axis=-1)
    return np.asarray(top + np.log(np.exp(values - top[..., None]).sum(axis=-1)), np.float64)
