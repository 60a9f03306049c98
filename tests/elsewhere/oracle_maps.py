"""What quantify_map should say, voxel by voxel in float64 and as slow as it likes. Knows nothing of the library."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

Array = np.ndarray
AXES = {"z": 0, "y": 1, "x": 2}


def transformed(s: Array, labels: Array, d: dict[str, Any]) -> Array:
    t = s.astype(np.float64)
    t = {"none": t, "negate": -t, "one_minus": 1 - t}[d.get("invert", "none")]
    t = {"none": t, "positive": np.where(t > 0, t, 0), "negative": np.where(t < 0, -t, 0), "absolute": np.abs(t)}[
        d.get("sign", "none")
    ]
    if clip := d.get("clip"):
        x = sorted(t[labels > 0] if clip["voxels"] == "labelled" else t.ravel())
        if not x:
            return np.full(t.shape, math.nan)
        low, high = (quantile(x, p / 100) for p in clip["percentiles"])
        t = np.minimum(np.maximum(t, low), high)
    spec = d.get("normalise", {"kind": "none"})
    if spec["kind"] == "none":
        return t
    out = np.empty_like(t)
    axis = AXES[spec["axis"]] if spec.get("scope") == "slice" else None
    for part in [...] if axis is None else range(t.shape[axis]):
        where = part if axis is None else tuple(part if a == axis else slice(None) for a in range(3))
        x = t[where][labels[where] > 0] if spec.get("voxels") == "labelled" else t[where].ravel()
        out[where] = np.vectorize(lambda v, x=x: scaled(v, [float(a) for a in x], spec["kind"]), otypes=[float])(
            t[where]
        )
    return out


def scaled(v: float, x: list[float], kind: str) -> float:
    if not x:
        return math.nan
    low, high, total, n = min(x), max(x), math.fsum(x), len(x)
    if kind == "min_max":
        return (v - low) / (high - low) if high > low else math.nan
    if kind == "max":
        return v / high if high > 0 else math.nan
    if kind == "sum":
        return v / total if total > 0 else math.nan
    if kind == "rank":
        return sum(1.0 if a < v else 0.5 if a == v else 0.0 for a in x) / n
    mean = total / n
    return (v - mean) / math.sqrt(math.fsum((a - mean) ** 2 for a in x) / n) if high > low else math.nan


def quantile(x: list[float], q: float) -> float:
    at = q * (len(x) - 1)
    low = min(math.floor(at), len(x) - 1)
    high = min(low + 1, len(x) - 1)
    return x[low] + (at - low) * (x[high] - x[low])


def statistic(t: Array, labels: Array, region: tuple[int, ...], stat: dict[str, Any]) -> float:
    """The number of the labels `region`; t as `transformed` gives it."""
    name = stat["name"]
    inside = [float(v) for v, k in zip(t.ravel(), labels.ravel(), strict=True) if k in region]
    total = [(float(v), k in region) for v, k in zip(t.ravel(), labels.ravel(), strict=True)
             if stat.get("total") != "labelled" or k > 0]  # fmt: skip
    n, sums = len(inside), math.fsum(inside)
    if n == 0:
        return 0.0 if name == "sum" else math.nan
    if stat.get("total") == "labelled" and 0 in region:
        return math.nan
    if name in ("sum", "mean", "std", "variance", "min", "max", "median", "quantile"):
        return of_region(inside, name, stat)
    whole, mass = len(total), math.fsum(v for v, _ in total)
    if any(math.isnan(v) for v, _ in total):
        return math.nan
    if name == "part_of_total_mean":
        return sums / whole
    if name in ("share", "energy_pointing_game", "inside_total_ratio", "enrichment"):
        if mass <= 0:
            return math.nan
        return sums / mass * (whole / n if name == "enrichment" or stat.get("weighted") else 1.0)
    if name == "pointing_game":
        return top(total, 1) * (1 - n / whole if stat.get("weighted") else 1.0)
    if name in ("rank_overlap", "rank_accuracy"):
        return top(total, n) if name == "rank_overlap" or sharp(total, n) else math.nan
    if name in ("top_k_intersection", "concept_influence"):
        k = stat.get("k") or max(1, math.floor(stat["fraction"] * whole + 0.5))
        return top(total, k) * (whole / n if name == "concept_influence" else 1.0)
    return of_threshold(total, n, name, stat)


def of_region(x: list[float], name: str, stat: dict[str, Any]) -> float:
    n, total = len(x), math.fsum(x)
    if any(math.isnan(v) for v in x):
        return math.nan
    variance = math.fsum((v - total / n) ** 2 for v in x) / n
    q = 0.5 if name == "median" else stat.get("q", 0.0)
    return {"sum": total, "mean": total / n, "variance": variance, "std": math.sqrt(variance), "min": min(x),
            "max": max(x), "median": quantile(sorted(x), q), "quantile": quantile(sorted(x), q)}[name]  # fmt: skip


def top(total: list[tuple[float, bool]], k: int) -> float:
    """Expected share of the k largest that are inside. One run of ties crosses the threshold: its rotations suffice."""
    values = sorted((v for v, _ in total), reverse=True)
    edge = values[k - 1]
    run = [i for v, i in total if v == edge]
    sure = [i for v, i in total if v > edge]
    left = k - len(sure)
    turned = [sum((run[s:] + run[:s])[:left]) for s in range(len(run))]
    return (sum(sure) + sum(turned) / len(turned)) / k


def sharp(total: list[tuple[float, bool]], k: int) -> bool:
    """Whether every order of the tied voxels gives the same number."""
    values = sorted((v for v, _ in total), reverse=True)
    run = [i for v, i in total if v == values[k - 1]]
    left = k - sum(v > values[k - 1] for v, _ in total)
    return sum(sorted(run)[:left]) == sum(sorted(run, reverse=True)[:left])


def of_threshold(total: list[tuple[float, bool]], n: int, name: str, stat: dict[str, Any]) -> float:
    weighted = stat.get("weighted", False)
    if name == "auc_iou":
        area, steps = 0.0, sorted({0.0, *(v for v, _ in total), 1.0})
        for low, high in itertools.pairwise(steps):
            lit = [i for v, i in total if v > low]
            area += (high - low) * sum(lit) / (len(lit) + n - sum(lit))
        return area
    if name == "intersection_over_attention":
        edge = otsu([v for v, _ in total])
        lit = [(v if weighted else 1.0, i) for v, i in total if v >= edge]
        whole = math.fsum(w for w, _ in lit)
        return math.fsum(w for w, i in lit if i) / whole if lit and whole > 0 else math.nan
    base = stat.get("base_threshold", 0.1)
    lit = [(v, i) for v, i in total if v >= base]
    if not lit:
        return math.nan
    heats = sorted(v for v, _ in lit)
    ratios = []
    for q in np.linspace(0, 1, 11):
        tau = min(float(np.quantile(heats, q)), 0.99 * heats[-1])  # numpy's: a rounding of tau could drop a voxel
        area = [(v, i) for v, i in lit if v >= tau]
        ratios.append(math.fsum((v if weighted else 1.0) for v, i in area if i) / len(area))
    return math.fsum((a + b) / 20 for a, b in itertools.pairwise(ratios))


def otsu(x: list[float]) -> float:
    """By trying every bin. NaN for one value only, which no value reaches."""
    low, high = min(x), max(x)
    if low == high:
        return math.nan
    counts, edges = np.histogram(x, 256)
    centres = (edges[1:] + edges[:-1]) / 2
    best, found = -1.0, math.nan
    for i in range(255):
        a, b = counts[: i + 1], counts[i + 1 :]
        mean_a, mean_b = np.average(centres[: i + 1], weights=a), np.average(centres[i + 1 :], weights=b)
        between = float(a.sum()) * float(b.sum()) * (mean_a - mean_b) ** 2
        if between > best * (1 + 1e-12):
            best, found = between, float(centres[i])
    return found
