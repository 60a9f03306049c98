"""Cases that reduce maps over layers, and the composition of coalitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import inputs
import layer_fast as lf
from cases import oracles
from cases.case import Case, Work
from inputs import Size

QUANTILES, TOP = (0.5, 0.95), 0.05
LAYERS = "labels 0 to 6; std with n; float64 sums"


def moments(found: Any, row: int = 0) -> dict[str, Any]:
    """LayerMoments of one map as the table that the rivals make."""
    table = {name: getattr(found, name)[row] for name in ("count", "sum", "min", "max")}
    return table | {"mean": found.mean()[row], "std": found.std()[row]}


def _reduce(size: Size) -> Work:
    values, labels = inputs.saliency(size.b), inputs.labels(size.b)
    return Work(
        {"values": values, "labels": labels},
        lambda threads: moments(lf.layer_reduce(values, labels, threads=threads)),
        lambda: oracles.moments(values, labels),
        values.nbytes + labels.nbytes,
    )


def _reduce_random(size: Size) -> Work:
    values, labels, layered = inputs.saliency(size.b), inputs.random_labels(size.b), inputs.labels(size.b)
    return Work(
        {"values": values, "labels": labels},
        lambda threads: moments(lf.layer_reduce(values, labels, threads=threads)),
        lambda: oracles.moments(values, labels),
        values.nbytes + labels.nbytes,
        {"layer_fast, layered labels": lambda threads: lf.layer_reduce(values, layered, threads=threads)},
    )


def _quantiles(size: Size) -> Work:
    values, labels = inputs.saliency(size.b), inputs.labels(size.b)
    low = values.min()
    values = values - low  # a share of the sum is read for maps without negative values

    def ours(threads: int) -> dict[str, Any]:
        found = lf.layer_reduce(values, labels, quantiles=QUANTILES, top_fraction=TOP, threads=threads)
        return {"quantiles": found.quantiles[0], "top_share": found.top_share[0]} | moments(found)

    return Work(
        {"values": values, "labels": labels, "quantiles": QUANTILES},
        ours,
        lambda: oracles.quantiles(values, labels, QUANTILES, TOP) | oracles.moments(values, labels),
        values.nbytes + labels.nbytes,
    )


def _cam(target: Callable[[Size], Any]) -> Callable[[Size], Work]:
    def build(size: Size) -> Work:
        cam, labels = inputs.coarse(size.cam)[0], inputs.labels(target(size))
        return Work(
            {"values": cam, "labels": labels},
            lambda threads: moments(lf.layer_reduce(cam, labels, threads=threads)),
            lambda: oracles.moments(oracles.keep_linear(cam, labels.shape), labels),
            cam.nbytes + labels.nbytes,
        )

    return build


def _weights(applied_only: bool) -> Callable[[Size], Work]:
    """Per-layer means of many maps of one mask: the weights are built once, then each map is a dot product."""

    def build(size: Size) -> Work:
        maps, labels = inputs.coarse(size.cam, size.maps), inputs.labels(size.b)
        held = lf.layer_weights(labels, size.cam)
        count = held.reshape(7, -1).sum(1)

        def ours(threads: int) -> dict[str, Any]:
            weights = held if applied_only else lf.layer_weights(labels, size.cam, threads=threads)
            flat = weights.reshape(7, -1)
            return {"mean": maps.reshape(len(maps), -1).astype(np.float64) @ flat.T / count}

        def fused(threads: int) -> dict[str, Any]:
            return {"mean": np.stack([lf.layer_reduce(one, labels, threads=threads).mean()[0] for one in maps])}

        return Work(
            {"maps": maps, "labels": labels},
            ours,
            lambda: {"mean": oracles.map_means(maps, labels)},
            maps.nbytes + held.nbytes + (0 if applied_only else labels.nbytes),
            {"layer_fast, fused row for each map": fused},
        )

    return build


def _compose(size: Size) -> Work:
    image, fill = inputs.image(size.image)
    labels, sets = inputs.labels(size.image), inputs.coalitions(size.coalitions)
    out = np.ones((len(sets), *image.shape), np.float32)

    return Work(
        {"image": image, "labels": labels, "fill": fill, "coalitions": sets},
        lambda threads: lf.layer_compose(image, labels, sets, fill_values=fill, out=out, threads=threads),
        lambda: np.stack([np.where(row[labels], image, fill) for row in sets]),
        out.nbytes,
    )


CASES = (
    Case(
        "cam_b", "cam", "16³ map → labels of B → statistics, fused", f"half-pixel, edges clamped; {LAYERS}",
        _cam(lambda s: s.b), {"torch interpolate + numpy masks": (20, 30)}, headline=True,
    ),
    Case(
        "cam_s", "cam", "16³ map → labels of S → statistics, fused", f"half-pixel, edges clamped; {LAYERS}",
        _cam(lambda s: s.s), {}, headline=True,
    ),
    Case(
        "reduce", "reduce", "layer_reduce, 7 labels, B: all sufficient statistics", LAYERS, _reduce,
        {"numpy masks": (20, 30), "numba": (6, 10), "scipy.ndimage": (500, 1000), "plain read": (0.8, 1.0)},
        headline=True, note="rivals give six of the ten statistics",
    ),
    Case(
        "reduce_random", "reduce", "layer_reduce, random labels, B", LAYERS, _reduce_random,
        {"layer_fast, layered labels": (0.25, 0.5)}, note="goal: its layered time, as a part of this one",
    ),
    Case(
        "quantiles", "quantiles", "exact median + p95 + top-5 % share per label, B",
        "numpy.quantile's linear definition",
        _quantiles, {"numpy partition": (5, 10)}, note="ours also gives the moments",
    ),
    Case(
        "weights_32", "weights", "per-layer means of 32 maps of 16³ on B by layer_weights, built anew", LAYERS,
        _weights(False), {}, rivals=1e-5,
    ),
    Case(
        "weights_32_held", "weights", "the same with the weights of the mask held", LAYERS, _weights(True),
        {"layer_fast, fused row for each map": (100, 1000)}, rivals=1e-5,
    ),
    Case(
        "compose", "compose", "layer_compose, 128 coalitions of 2 × 96³",
        "where(coalition of the voxel's layer, image, fill)",
        _compose, {"plain copy": (0.667, 1.0)}, tolerance=0, rivals=0,
    ),
)  # fmt: skip
