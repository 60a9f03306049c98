"""Every op beside what NumPy and SciPy offer. The answer is checked before anything is timed.

    pytest benchmarks/bench_ops.py                          all cases
    pytest benchmarks/bench_ops.py -k "small"               the small case
    LAYER_FAST_THREADS=1 pytest benchmarks/bench_ops.py     one thread

Memory that an op can reuse (out=) is reused, as a pipeline does; the rivals allocate, as their calls do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cases
from cases import NUM_LAYERS, Case
from layer_fast import ops
from rivals import numpy_scipy as rival

Pair = tuple[Callable[[], Any], Callable[[], Any], Callable[[Any, Any], None]]


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * float(np.abs(want).max()))


def same_labels(got: Any, want: Any) -> None:
    assert np.mean(got != want) < 1e-4  # ties of the largest two logits may fall either way


def resample(case: Case, dtype: str, order: int) -> Pair:
    source, out = cases.volume(case, dtype), np.empty(case.model, np.float32)
    kind = {1: "linear", 3: "bspline"}[order]

    def inner(got: Any, want: Any) -> None:  # the prefilters differ at the border: 12 voxels are left out
        cut = (slice(None),) * 3 if order == 1 else tuple(slice(12, -12) if n > 24 else slice(None) for n in case.model)
        if order == 1 or min(case.model) > 24:
            close(got[cut], want[cut])

    return (
        lambda: ops.resample(source, case.model, interpolation=kind, out=out),
        lambda: rival.resample(source, case.model, order),
        inner,
    )


def resample_labels(case: Case) -> Pair:
    source, out = cases.labels(case), np.empty(case.model, np.uint8)
    return (
        lambda: ops.resample_labels(source, case.model, out=out),
        lambda: rival.resample(source, case.model, 0),
        same_labels,
    )


def argmax_resample(case: Case) -> Pair:
    source, out = cases.logits(case), np.empty(case.scan, np.uint8)
    return (
        lambda: ops.argmax_resample(source, case.scan, out=out),
        lambda: rival.argmax_resample(source, case.scan),
        same_labels,
    )


def layer_reduce(case: Case) -> Pair:
    values, labels = cases.saliency(case), cases.labels(case)

    def check(got: ops.LayerMoments, want: dict[str, Any]) -> None:
        close(got.std()[0], want["std"])
        for name in ("count", "sum", "min", "max"):
            close(getattr(got, name)[0], want[name])

    return (
        lambda: ops.layer_reduce(values, labels),
        lambda: rival.layer_table(values, labels, NUM_LAYERS),
        check,
    )


def layer_reduce_quantiles(case: Case) -> Pair:
    values, labels, asked = cases.saliency(case), cases.labels(case), (0.5, 0.95)
    return (
        lambda: ops.layer_reduce(values, labels, quantiles=asked).quantiles,
        lambda: rival.layer_quantiles(values, labels, NUM_LAYERS, asked),
        lambda got, want: close(got[0], want),
    )


def layer_reduce_cam(case: Case) -> Pair:
    values, labels = cases.cam(case), cases.labels(case)
    return (
        lambda: ops.layer_reduce(values, labels).sum,
        lambda: rival.layer_cam_sums(values, labels, NUM_LAYERS),
        lambda got, want: close(got[0], want),
    )


def layer_weights(case: Case) -> Pair:
    values, labels = cases.cam(case), cases.labels(case)
    return (
        lambda: np.tensordot(ops.layer_weights(labels, case.cam), values, 3),
        lambda: rival.layer_cam_sums(values, labels, NUM_LAYERS),
        close,
    )


def layer_compose(case: Case) -> Pair:
    image, labels, fill = cases.model_input(case)
    sets = cases.coalitions(case)
    out = np.empty((len(sets), *image.shape), np.float32)
    return (
        lambda: ops.layer_compose(image, labels, sets, fill_values=fill, out=out),
        lambda: rival.compose(image, labels, sets, fill),
        np.testing.assert_array_equal,
    )


def intensity_stats(case: Case, dtype: str) -> Pair:
    source, asked = cases.volume(case, dtype), (0.5, 99.5)

    def ours() -> tuple[float, float, Any]:
        stats = ops.intensity_stats(source, percentiles=asked)
        return stats.mean, stats.std, stats.percentiles

    def check(got: Any, want: Any) -> None:
        close(np.hstack(got), np.hstack(want))

    return ours, lambda: rival.intensity(source, asked), check


def normalize(case: Case, dtype: str) -> Pair:
    source, out = cases.volume(case, dtype), np.empty(case.scan, np.float32)
    return lambda: ops.normalize(source, out=out), lambda: rival.zscore(source), close


BENCHMARKS: dict[str, Callable[[Case], Pair]] = {
    "resample_linear_u8": lambda case: resample(case, "uint8", 1),
    "resample_linear_f32": lambda case: resample(case, "float32", 1),
    "resample_bspline_f32": lambda case: resample(case, "float32", 3),
    "resample_labels": resample_labels,
    "argmax_resample": argmax_resample,
    "layer_reduce": layer_reduce,
    "layer_reduce_quantiles": layer_reduce_quantiles,
    "layer_reduce_cam": layer_reduce_cam,
    "layer_weights": layer_weights,
    "layer_compose": layer_compose,
    "intensity_stats_u8": lambda case: intensity_stats(case, "uint8"),
    "intensity_stats_f32": lambda case: intensity_stats(case, "float32"),
    "normalize_u8": lambda case: normalize(case, "uint8"),
    "normalize_f32": lambda case: normalize(case, "float32"),
}


@pytest.mark.parametrize("who", ["layer_fast", "rival"])
@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_op(benchmark: Any, case: Case, name: str, who: str) -> None:
    """Few rounds: the rivals take seconds on S; compare medians and minima of one run only."""
    ours, theirs, check = BENCHMARKS[name](case)
    if who == "layer_fast":
        check(ours(), theirs())
    benchmark.group = f"{name} {case.name}"
    benchmark.pedantic(ours if who == "layer_fast" else theirs, rounds=5, warmup_rounds=1, iterations=1)
