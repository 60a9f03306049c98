"""Sufficient statistics of a map under a definition's transforms, as far as they follow from those of the map itself.

Everything is an array (units, 7): a unit is a scan, or a slice of one, and the columns are the labels 0..6. What does
not follow (the squares of a positive part, the smallest |s| of a label with both signs) is marked unknown, never
guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..reduction import Reduction

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NEEDS_UNIT = (-1e-6, 1 + 1e-6)  # what invert "one_minus" takes for a map in 0..1, as quantify_map does


@dataclass(frozen=True, slots=True)
class Known:
    """A number per unit and label; `known` is False where it does not follow from what is stored."""

    x: Floats
    known: Bools

    def __neg__(self) -> Known:
        return Known(-self.x, self.known)

    def where(self, mask: Bools, other: Known) -> Known:
        """This where `mask`, else the other."""
        return Known(np.where(mask, self.x, other.x), np.where(mask, self.known, other.known))


@dataclass(frozen=True, slots=True)
class Moments:
    """n: voxels. s, sq, abs, pos: sums of t, t^2, |t|, max(t, 0). low, high: extremes; NaN where n is 0."""

    n: Floats
    s: Known
    sq: Known
    abs: Known
    pos: Known
    low: Known
    high: Known


def stored_moments(
    n: Floats, s: Floats, sq: Floats, absolute: Floats, pos: Floats, low: Floats, high: Floats
) -> Moments:
    """The moments of the map itself, all known. Arrays (units, 7), float64."""
    sure = np.ones(n.shape, bool)
    return Moments(n, *(Known(x, sure) for x in (s, sq, absolute, pos, low, high)))


def inverted(m: Moments, how: str) -> Moments:
    """invert "none", "negate" (-s) or "one_minus" (1 - s)."""
    if how == "none":
        return m
    there = Known(m.abs.x - m.pos.x, m.abs.known & m.pos.known)
    negative = Moments(m.n, -m.s, m.sq, m.abs, there, -m.high, -m.low)
    return negative if how == "negate" else shifted(negative, np.ones_like(m.n), np.ones_like(m.n))


def signed(m: Moments, how: str) -> Moments:
    """sign "none", "positive" max(t, 0), "negative" max(-t, 0) or "absolute" |t|."""
    if how == "none":
        return m
    if how == "negative":
        return signed(inverted(m, "negate"), "positive")
    with np.errstate(invalid="ignore"):
        above = (m.low.x >= 0) & m.low.known
        below = (m.high.x <= 0) & m.high.known
    unknown = Known(np.full(m.n.shape, np.nan), np.zeros(m.n.shape, bool))
    if how == "absolute":
        ends = Known(np.maximum(np.abs(m.low.x), np.abs(m.high.x)), m.low.known & m.high.known)
        low = m.low.where(above, (-m.high).where(below, unknown))
        return Moments(m.n, m.abs, m.sq, m.abs, m.abs, low, ends)
    nothing = Known(np.zeros(m.n.shape), np.ones(m.n.shape, bool))
    squares = m.sq.where(above, nothing.where(below, unknown))
    low, high = (Known(np.maximum(e.x, 0.0), e.known) for e in (m.low, m.high))
    return Moments(m.n, m.pos, squares, m.pos, m.pos, low, high)


def shifted(m: Moments, scale: Floats, shift: Floats) -> Moments:
    """t = scale * t + shift, scale > 0 (or NaN: nothing to normalise by); (units, 1) or (units, 7)."""
    a, b = np.broadcast_to(scale, m.n.shape), np.broadcast_to(shift, m.n.shape)
    s = Known(a * m.s.x + b * m.n, m.s.known)
    sq = Known(a * a * m.sq.x + 2 * a * b * m.s.x + b * b * m.n, m.sq.known & m.s.known)
    low, high = (Known(a * e.x + b, e.known) for e in (m.low, m.high))
    with np.errstate(invalid="ignore"):
        above = low.known & (low.x >= 0)

    def kept(e: Known) -> Known:
        """|t| and max(t, 0) follow where t >= 0 or nothing is added."""
        return Known(np.where(above, s.x, a * e.x), np.where(above, s.known, e.known & (b == 0)))

    return Moments(m.n, s, sq, kept(m.abs), kept(m.pos), low, high)


@dataclass(frozen=True, slots=True)
class Line:
    """t = scale * t + shift per unit, (units, 1); NaN where there is nothing to normalise by. known (units, 1)."""

    scale: Floats
    shift: Floats
    known: Bools


def normalised(m: Moments, line: Line) -> Moments:
    """Every unit by its line; unknown where the line is."""
    t = shifted(m, line.scale, line.shift)
    return Moments(t.n, *(Known(k.x, k.known & line.known) for k in (t.s, t.sq, t.abs, t.pos, t.low, t.high)))


def normaliser(m: Moments, definition: Reduction, pool: NDArray[np.int64]) -> Line:
    """The line of normalisation. pool (units,): units of one number share minimum, sum, ... (a subject's scans)."""
    spec = definition.normalise
    columns = slice(1, None) if spec.voxels == "labelled" else slice(None)
    there = m.n[:, columns] > 0
    total = _pooled(np.add, np.where(there, m.n[:, columns], 0.0), pool, 0.0)
    low, low_known = _pooled_known(np.minimum, m.low, columns, there, pool, np.inf)
    high, high_known = _pooled_known(np.maximum, m.high, columns, there, pool, -np.inf)
    s, s_known = _pooled_known(np.add, m.s, columns, there, pool, 0.0)
    sq, sq_known = _pooled_known(np.add, m.sq, columns, there, pool, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if spec.kind == "min_max":
            scale, start, known = 1.0 / (high - low), low, low_known & high_known
            scale = np.where(high > low, scale, np.nan)
        elif spec.kind == "z_score":
            mean = s / total
            spread = np.sqrt(np.maximum(sq / total - mean * mean, 0.0))
            varies = (high > low) & (spread > 0)
            scale, start, known = np.where(varies, 1.0 / spread, np.nan), mean, s_known & sq_known
            known = known & low_known & high_known
        else:
            by, known = (high, high_known) if spec.kind == "max" else (s, s_known)
            scale, start = np.where(by > 0, 1.0 / by, np.nan), np.zeros_like(by)
    scale = np.where(total > 0, scale, np.nan)
    shift = np.where(np.isnan(scale), np.nan, 0.0 - start * scale)
    return Line(scale[:, None], shift[:, None], np.asarray(known[:, None], bool))


def _pooled_known(
    how: np.ufunc, k: Known, columns: slice, there: Bools, pool: NDArray[np.int64], nothing: float
) -> tuple[Floats, Bools]:
    known = _pooled(np.logical_and, k.known[:, columns] | ~there, pool, True).astype(bool)
    return _pooled(how, np.where(there, k.x[:, columns], nothing), pool, nothing), known


def _pooled(how: np.ufunc, x: NDArray[np.generic], pool: NDArray[np.int64], nothing: float | bool) -> Floats:
    """Reduced over the labels and over the units of one pool, given back to every unit: (units,)."""
    rows = how.reduce(x, axis=1)
    out = np.full(int(pool.max(initial=-1)) + 1, nothing, rows.dtype)
    with np.errstate(invalid="ignore"):
        how.at(out, pool, rows)
    return np.asarray(out[pool])


def folded(m: Moments, scan: NDArray[np.int64], scans: int) -> Moments:
    """Slices added up to their scans. scan (units,): the scan of each unit."""

    def add(x: Floats) -> Floats:
        out = np.zeros((scans, x.shape[1]))
        np.add.at(out, scan, x)
        return out

    def every(known: Bools) -> Bools:
        out = np.ones((scans, known.shape[1]), bool)
        np.logical_and.at(out, scan, known | (m.n == 0))
        return out

    def extreme(k: Known, how: np.ufunc, nothing: float) -> Known:
        out = np.full((scans, k.x.shape[1]), nothing)
        how.at(out, scan, np.where(m.n > 0, k.x, nothing))
        return Known(np.where(np.isinf(out), np.nan, out), every(k.known))

    def total(k: Known) -> Known:
        return Known(add(np.where(m.n > 0, k.x, 0.0)), every(k.known))

    return replace(m, n=add(m.n), s=total(m.s), sq=total(m.sq), abs=total(m.abs), pos=total(m.pos),
                   low=extreme(m.low, np.minimum, np.inf), high=extreme(m.high, np.maximum, -np.inf))  # fmt: skip
