"""All ops on the GPU on shapes that divide by nothing, compared with the CPU twin; run under compute-sanitizer.

Arrays come from cudaMalloc itself, not from CuPy's pool, whose blocks would hide what is written past an array.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from layer_fast import ops

GRID, MADE = (7, 13, 37), (11, 9, 67)
OBLIQUE = np.array([[0.9, 0.1, 0, 0.3], [-0.1, 1.1, 0.05, 1], [0, 0.02, 0.5, 2], [0, 0, 0, 1]])
Case = tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def resampling(rng: np.random.Generator) -> Iterator[Case]:
    volumes = [(rng.normal(size=GRID) * 40 + 100).astype(d) for d in ("uint8", "int16", "uint16", "float32")]
    kinds = ("nearest", "linear", "cubic", "bspline")
    for volume, kind, grid_map in itertools.product(volumes, kinds, (None, OBLIQUE)):
        name = f"resample {volume.dtype} {kind} {'' if grid_map is None else 'oblique'}"
        yield name, ops.resample, (volume, MADE), {"interpolation": kind, "grid_map": grid_map}
    yield "resample window", ops.resample, (volumes[0], MADE), {"window": (20, 160)}
    yield "resample same dtype", ops.resample, (volumes[1], MADE), {"dtype": "int16", "interpolation": "cubic"}
    yield "resample antialias", ops.resample, (volumes[3], (3, 5, 7)), {"antialias": True}
    yield "resample thin", ops.resample, (volumes[3][:1, :1], (1, 1, 300)), {"interpolation": "bspline"}
    labels = rng.integers(0, 5, GRID).astype(np.uint8)
    yield "resample_labels nearest", ops.resample_labels, (labels, MADE), {}
    yield "resample_labels fraction", ops.resample_labels, (labels, (3, 5, 11)), {"mode": "fraction", "num_labels": 5}
    logits = rng.normal(size=(5, *GRID)).astype(np.float32)
    for shape, grid_map in (((15, 29, 71), None), ((3, 5, 7), None), (MADE, OBLIQUE)):
        yield f"argmax_resample {shape}", ops.argmax_resample, (logits, shape), {"grid_map": grid_map}


def layers(rng: np.random.Generator) -> Iterator[Case]:
    labels = rng.integers(0, 5, GRID).astype(np.uint8)
    fine, coarse = rng.normal(size=(3, *GRID)).astype(np.float32), rng.normal(size=(2, 3, 5, 9)).astype(np.float32)
    weights = rng.random((5, *GRID)).astype(np.float32)
    for name, maps in (("fine", fine), ("coarse", coarse)):
        yield f"layer_reduce {name}", ops.layer_reduce, (maps, labels), {"num_layers": 4}
    extra = {"quantiles": (0.1, 0.5), "top_fraction": 0.1, "histogram": (-3.0, 3.0, 11)}
    yield "layer_reduce order", ops.layer_reduce, (fine, labels), {"num_layers": 4, **extra}
    yield "layer_reduce soft", ops.layer_reduce, (fine, None), {"num_layers": 4, "weights": weights}
    yield "layer_weights", ops.layer_weights, (labels, (3, 5, 9)), {"num_layers": 4}
    sets = rng.random((6, 5)) < 0.5
    yield "layer_compose", ops.layer_compose, (fine, labels, sets), {"fill_values": np.ones((3, 5), np.float32)}
    for dtype in ("uint8", "int16", "float32"):
        volume = (rng.normal(size=GRID) * 40 + 100).astype(dtype)
        yield f"normalize {dtype}", ops.normalize, (volume,), {}
        yield f"intensity_stats {dtype}", ops.intensity_stats, (volume,), {"percentiles": (1, 50, 99)}


def share(part: str) -> list[Case]:
    """All cases, or of "i/n" every n-th from the i-th on: kinds of work are spread over the parts."""
    rng = np.random.default_rng(0)
    first, count = (int(number) for number in part.split("/"))
    return [*resampling(rng), *layers(rng)][first::count]


def main(part: str = "0/1") -> None:
    import cupy

    from cuda_twins import on_device, to_host

    cupy.cuda.set_allocator(None)
    differing = []
    for name, op, args, options in share(part):
        expected, got = op(*args, **options), on_device(op, cupy.asarray)(*args, **options)
        same = all(np.allclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True) for a, b in pairs(expected, to_host(got)))
        print(f"{name}: {'as the CPU' if same else 'DIFFERS'}", flush=True)
        differing += [] if same else [name]
    if differing:
        raise SystemExit(f"unlike the CPU twin: {differing}")


def pairs(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    """Arrays beside arrays, field by field where the result has fields."""
    if not hasattr(a, "__dataclass_fields__"):
        yield a, b
        return
    for field in a.__dataclass_fields__:
        if getattr(a, field) is not None:
            yield getattr(a, field), getattr(b, field)


if __name__ == "__main__":
    main(*sys.argv[1:2])
