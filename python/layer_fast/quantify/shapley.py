"""Exact values of a game whose players are tissue layers, from all coalition values.

`values[..., s]` is v(S) for the coalition whose members are the set bits of s: bit k = player k (0 background, then
the layers) keeps its own content. All sums run in one fixed order, whatever the leading axes, so that values
recomputed for a whole cohort have the bits of those computed scan by scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


def players(values: Float) -> int:
    """p for 2^p coalition values; ValueError for any other length of the last axis."""
    size = values.shape[-1] if values.ndim else 0
    if size < 2 or size & (size - 1):
        raise ValueError(f"[shapley] expected 2**p coalition values on the last axis (p >= 1), got {size}")
    return size.bit_length() - 1


def shapley(values: ArrayLike) -> Float:
    """phi[..., p] of values[..., 2**p]; float64, in the units of v.

    phi_k = sum over T without k of |T|! (p - |T| - 1)! / p! * (v(T + k) - v(T))  (Shapley 1953).
    They sum to v(all) - v(none) to rounding. A NaN coalition makes every phi of that game NaN.
    """
    v = np.asarray(values, dtype=np.float64)
    p = players(v)
    weight = [factorial(t) * factorial(p - t - 1) / factorial(p) for t in range(p)]
    phi = np.zeros((*v.shape[:-1], p))
    for k in range(p):
        for s in range(1 << p):
            if not s >> k & 1:
                phi[..., k] += weight[s.bit_count()] * (v[..., s | 1 << k] - v[..., s])
    return phi


def ablation(values: ArrayLike, removed: Sequence[Sequence[int]] | None = None) -> Float:
    """v(all) - v(all without a set of players), one number per set; by default each player alone.

    values[..., 2**p] -> [..., len(removed)]. Only the coalitions named are read: the others may be NaN.
    """
    v = np.asarray(values, dtype=np.float64)
    p = players(v)
    full = (1 << p) - 1
    sets = [(k,) for k in range(p)] if removed is None else [tuple(group) for group in removed]
    columns = []
    for group in sets:
        if any(not 0 <= k < p for k in group):
            raise ValueError(f"[ablation] expected players 0..{p - 1}, got {group}")
        kept = full & ~sum(1 << k for k in set(group))
        columns.append(v[..., full] - v[..., kept])
    return np.stack(columns, axis=-1)


def interactions(values: ArrayLike) -> Float:
    """Shapley interaction index of every pair: [..., p, p], symmetric, NaN on the diagonal.

    I_ij = sum over T without i, j of |T|! (p - |T| - 2)! / (p - 1)! * (v(T+i+j) - v(T+i) - v(T+j) + v(T))
    (Grabisch and Roubens 1999). Zero for players whose contributions add.
    """
    v = np.asarray(values, dtype=np.float64)
    p = players(v)
    out = np.full((*v.shape[:-1], p, p), np.nan)
    weight = [factorial(t) * factorial(p - t - 2) / factorial(p - 1) for t in range(p - 1)]
    for i in range(p):
        for j in range(i + 1, p):
            bi, bj = 1 << i, 1 << j
            total = np.zeros(v.shape[:-1])
            for s in range(1 << p):
                if not s & (bi | bj):
                    together = v[..., s | bi | bj] - v[..., s | bi] - v[..., s | bj] + v[..., s]
                    total = total + weight[s.bit_count()] * together
            out[..., i, j] = out[..., j, i] = total
    return out
