"""Does a map depend on what the model has learned? Weights are shuffled from the output down (Adebayo et al. 2018,
arXiv 1810.03292, "cascading randomisation"); a map that hardly changes shows the picture, not the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..errors import ModelError

Map = NDArray[np.float32]
MapOf = Callable[[onnx.ModelProto], Sequence[Map]]
HARDLY = 0.5  # mean |Spearman| with every weight shuffled from which on the map is called independent of the model
_SEED = 20511


@dataclass(frozen=True, slots=True)
class Randomisation:
    """shuffled: names of the weights, output first; ends: how many of them each stage shuffles.
    spearman: (stages, maps) between each map and its own of the shuffled model, NaN where one of them is constant.
    layer_change: (stages, maps), 1 - sum(min(a, b)) of the layers' shares of |map|, in 0..1; empty without masks."""

    shuffled: tuple[str, ...]
    ends: tuple[int, ...]
    spearman: NDArray[np.float64]
    layer_change: NDArray[np.float64]

    @property
    def statistic(self) -> float:
        """Mean |Spearman| over the maps with every weight shuffled, constant maps left out; NaN where all are."""
        last = np.abs(self.spearman[-1])
        return float(np.nanmean(last)) if not np.isnan(last).all() else float("nan")

    @property
    def fires(self) -> bool:
        """The maps hardly change, so they say little of what the model has learned."""
        return self.statistic > HARDLY


def weights_from_top(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the float initializers of two axes or more with different entries, those used last first."""
    made = {t.name: t for t in model.graph.initializer}
    order: list[str] = []
    for node in reversed(model.graph.node):
        for name in node.input:
            tensor = made.get(name)
            if tensor is None or name in order or len(tensor.dims) < 2:
                continue
            if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE):
                values = numpy_helper.to_array(tensor)
                if values.size > 1 and (values != values.flat[0]).any():
                    order.append(name)
    if not order:
        raise ModelError("[randomised] expected weights of two axes or more among the initializers, found none")
    return tuple(order)


def randomised(model: onnx.ModelProto, names: Sequence[str], seed: int = _SEED) -> onnx.ModelProto:
    """A copy of the model in which the entries of each named weight are in another order, drawn by seed and name.

    A shuffle keeps every weight's size and spread, so activations stay in range. Raises ModelError for a name that is
    no initializer.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    found = {t.name: t for t in copy.graph.initializer}
    for name in names:
        if name not in found:
            raise ModelError(f"[randomised] expected the name of an initializer, found {name!r}")
        values = numpy_helper.to_array(found[name])
        words = np.random.PCG64(np.random.SeedSequence([seed, *name.encode()])).random_raw(values.size)
        mixed = values.ravel()[np.argsort(words, kind="stable")].reshape(values.shape)
        found[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(mixed), name))
    return copy


def randomisation(
    model: onnx.ModelProto,
    map_of: MapOf,
    masks: Sequence[NDArray[np.uint8]] = (),
    *,
    stages: int = 3,
    seed: int = _SEED,
) -> Randomisation:
    """Compare maps of a model with those of the same model shuffled from the top, in `stages` growing parts.

    map_of: model -> maps (z, y, x), always of the same few scans. masks: one per map, labels 0..6 of any finer or
    equal grid, for the change of the table of layers. Cost: stages + 1 calls of map_of.
    Raises ModelError for a model without weights, ValueError where the numbers of maps and masks differ.
    """
    names = weights_from_top(model)
    ends = sorted({max(1, round(len(names) * (i + 1) / stages)) for i in range(stages)})
    first = list(map_of(model))
    if masks and len(masks) != len(first):
        raise ValueError(f"[randomisation] expected a mask per map, got {len(masks)} masks and {len(first)} maps")
    spearman, change = [], []
    for end in ends:
        maps = list(map_of(randomised(model, names[:end], seed)))
        spearman.append([rank_correlation(a, b) for a, b in zip(first, maps, strict=True)])
        change.append([_change(a, b, m) for a, b, m in zip(first, maps, masks, strict=True)] if masks else [])
    return Randomisation(names, tuple(ends), np.array(spearman), np.array(change))


def rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's correlation of two maps; NaN where one is constant."""
    from scipy.stats import spearmanr

    x, y = np.ravel(a), np.ravel(b)
    if (x == x[0]).all() or (y == y[0]).all():
        return float("nan")
    return float(spearmanr(x, y).statistic)


def _change(a: Map, b: Map, labels: NDArray[np.uint8]) -> float:
    """How far the layers' shares of the absolute map differ: 0 alike, 1 nothing in common; NaN for an all-zero map."""
    from .leakage import leakage

    weights = leakage(labels, (a.shape[0], a.shape[1], a.shape[2])).weights[1:]
    shares = [(weights * np.abs(m.astype(np.float64))).sum(axis=(1, 2, 3)) for m in (a, b)]
    if any(not s.sum() > 0 for s in shares):
        return float("nan")
    x, y = (s / s.sum() for s in shares)
    return float(1.0 - np.minimum(x, y).sum())
