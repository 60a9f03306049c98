"""What is written with NumPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rivals import Inputs, Method

PACKAGE = "numpy"
THREADED = False
Array = NDArray[Any]


def moments(values: Array, labels: Array, count: int = 7) -> dict[str, Array]:
    """Boolean masks: count, sum, mean, min, max, std of each label."""
    rows = []
    for layer in range(count):
        x = values[labels == layer]
        rows.append((x.size, x.sum(dtype=np.float64), x.mean(dtype=np.float64), x.min(), x.max(), x.std()))
    return dict(zip(("count", "sum", "mean", "min", "max", "std"), map(np.array, zip(*rows, strict=True)), strict=True))


def _partition(inputs: Inputs) -> Any:
    """The quantiles that are read, each by partition with its two neighbours, as numpy.quantile does."""
    values, labels = inputs["values"], inputs["labels"]

    def call() -> dict[str, Array]:
        rows = []
        for layer in range(7):
            x = values[labels == layer]
            at = np.array(inputs["quantiles"]) * (x.size - 1)
            low, t = at.astype(np.int64), at % 1
            x.partition([*low, *np.minimum(low + 1, x.size - 1)])
            rows.append(x[low] * (1 - t) + x[np.minimum(low + 1, x.size - 1)] * t)
        return {"quantiles": np.array(rows)}

    return call


def _quantile(inputs: Inputs) -> Any:
    values, labels = inputs["values"], inputs["labels"]
    asked = inputs["quantiles"]
    return lambda: {"quantiles": np.array([np.quantile(values[labels == k], asked) for k in range(7)])}


def _zscore(inputs: Inputs) -> Any:
    def call() -> Array:
        volume = inputs["volume"]
        inside = volume[volume != 0]
        mean, std = inside.mean(dtype=np.float64), inside.std(dtype=np.float64)
        return (volume.astype(np.float32) - np.float32(mean)) / np.float32(std)

    return call


def _clip(inputs: Inputs) -> Any:
    def call() -> Array:
        volume = inputs["volume"]
        low, high = np.percentile(volume, inputs["percentiles"])
        return np.clip((volume.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)

    return call


def _table(inputs: Inputs) -> Any:
    def call() -> Array:
        volume = inputs["volume"]
        counts = np.bincount(volume.ravel(), minlength=256).cumsum()
        low, high = (_at(counts, p) for p in inputs["percentiles"])
        return np.clip((np.arange(256) - low) / (high - low), 0, 1).astype(np.float32)[volume]

    return call


def _stats(inputs: Inputs) -> Any:
    volume, asked = inputs["volume"], inputs["percentiles"]
    exact = np.float64
    return lambda: {
        "mean": volume.mean(dtype=exact), "std": volume.std(dtype=exact), "percentiles": np.percentile(volume, asked)
    }  # fmt: skip


def _at(cumulated: Array, percentile: float) -> float:
    """The linear definition of numpy.percentile, read from cumulated counts."""
    at = percentile / 100 * (cumulated[-1] - 1)
    low, high = (np.searchsorted(cumulated, int(at) + k, side="right") for k in (0, 1))
    return float(low + (min(high, 255) - low) * (at % 1))


def _compose(inputs: Inputs) -> Any:
    image, labels, fill = inputs["image"], inputs["labels"], inputs["fill"]
    out = np.ones((len(inputs["coalitions"]), *image.shape), np.float32)

    def call() -> Array:
        for row, target in zip(inputs["coalitions"], out, strict=True):
            np.copyto(target, fill)
            np.copyto(target, image, where=row[labels])
        return out

    return call


METHODS = {
    "reduce": {"numpy masks": Method(lambda i: lambda: moments(i["values"], i["labels"]))},
    "quantiles": {
        "numpy partition": Method(_partition, note="quantiles only"),
        "numpy quantile": Method(_quantile, note="quantiles only"),
    },
    "zscore": {"numpy": Method(_zscore)},
    "clip": {"numpy percentile": Method(_clip)},
    "clip_u8": {"numpy percentile": Method(_clip), "numpy bincount + table": Method(_table)},
    "stats": {"numpy mean, std, percentile": Method(_stats)},
    "compose": {"numpy copyto": Method(_compose)},
}
