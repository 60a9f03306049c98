"""The cases of bench_gpu_ops.py that are about layers and intensities: bytes, our call, and what others call for it.

A peer is the shortest way that users of CuPy or PyTorch have; where it gives less than ours, its name says what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu_cases import BIG, LAYERS, NET, Call, Case, blocks
from layer_fast import ops

ROWS = range(LAYERS + 1)
HALF = (BIG[0] // 2, BIG[1] // 2, BIG[2] // 2)


def layered(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    yield from reduced(cupy, torch, rng)
    yield from reduced_otherwise(cupy, rng)
    yield from coarse(cupy, torch, rng)
    yield from composed(cupy, torch, rng)
    yield from intensities(cupy, torch, rng)


def peers_of_a_reduction(cupy: Any, torch: Any, values: Any, labels: Any) -> dict[str, Call]:
    from cupyx.scipy import ndimage

    flat, index = torch.as_tensor(values, device="cuda").ravel(), torch.as_tensor(labels, device="cuda").ravel().long()
    rows = cupy.asarray(ROWS)

    def masks() -> list[Any]:
        chosen = [values[labels == row] for row in ROWS]
        return [(len(v), v.sum(), v.min(), v.max(), v.std()) for v in chosen if len(v)]

    return {
        "torch scatter_reduce, sum alone": lambda: torch.zeros(LAYERS + 1, device="cuda").scatter_reduce(
            0, index, flat, "sum"
        ),
        "torch bincount, count and sum": lambda: (torch.bincount(index), torch.bincount(index, flat)),
        "cupyx sum_labels, sum alone": lambda: ndimage.sum_labels(values, labels, rows),
        "cupyx mean and deviation": lambda: (
            ndimage.mean(values, labels, rows), ndimage.standard_deviation(values, labels, rows)
        ),
        "cupy masks: count, sum, min, max, std": masks,
    }  # fmt: skip


def reduced(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    """One map, several maps, the small volumes that come in numbers, and labels in no order (the worst case)."""
    labels, values = blocks(cupy, BIG), rng.random(BIG, dtype=np.float32)
    yield Case(f"layer_reduce {BIG}", labels.nbytes + values.nbytes,
               lambda: ops.layer_reduce(values, labels, num_layers=LAYERS),
               peers_of_a_reduction(cupy, torch, values, labels))  # fmt: skip
    signed = values - 0.5
    yield Case(f"layer_reduce {BIG}, values of both signs", labels.nbytes + signed.nbytes,
               lambda: ops.layer_reduce(signed, labels, num_layers=LAYERS))  # fmt: skip
    six = rng.random((6, *BIG), dtype=np.float32)
    yield Case(f"layer_reduce 6 x {BIG}", labels.nbytes + six.nbytes,
               lambda: ops.layer_reduce(six, labels, num_layers=LAYERS))  # fmt: skip
    small, many = blocks(cupy, NET), rng.random((32, *NET), dtype=np.float32)
    yield Case(f"layer_reduce 32 x {NET}", small.nbytes + many.nbytes,
               lambda: ops.layer_reduce(many, small, num_layers=LAYERS))  # fmt: skip
    yield Case(f"layer_reduce 1 x {NET}", small.nbytes + many[0].nbytes,
               lambda: ops.layer_reduce(many[0], small, num_layers=LAYERS))  # fmt: skip
    mixed = rng.integers(0, LAYERS + 1, BIG).astype(np.uint8)
    yield Case(f"layer_reduce {BIG}, labels in no order", mixed.nbytes + values.nbytes,
               lambda: ops.layer_reduce(values, mixed, num_layers=LAYERS),
               peers_of_a_reduction(cupy, torch, values, mixed))  # fmt: skip


def reduced_otherwise(cupy: Any, rng: Any) -> Iterator[Case]:
    """Order statistics, a histogram, soft weights, many layers."""
    labels, values = blocks(cupy, BIG), rng.random(BIG, dtype=np.float32)
    moved = labels.nbytes + values.nbytes

    def quantiles() -> list[Any]:
        chosen = [values[labels == row] for row in ROWS]
        return [cupy.percentile(v, cupy.asarray([50, 95])) for v in chosen if len(v)]

    yield Case(f"layer_reduce {BIG}, median, p95, top 5 %", moved,
               lambda: ops.layer_reduce(values, labels, num_layers=LAYERS, quantiles=(0.5, 0.95), top_fraction=0.05),
               {"cupy masks, median and p95 alone": quantiles})  # fmt: skip
    yield Case(f"layer_reduce {BIG}, histogram of 64 bins", moved,
               lambda: ops.layer_reduce(values, labels, num_layers=LAYERS, histogram=(0.0, 1.0, 64)))  # fmt: skip
    soft = rng.random((LAYERS + 1, *HALF), dtype=np.float32)
    part = values[: HALF[0], : HALF[1], : HALF[2]].copy()
    yield Case(f"layer_reduce {HALF}, soft weights", soft.nbytes + part.nbytes,
               lambda: ops.layer_reduce(part, None, num_layers=LAYERS, weights=soft),
               {"cupy tensordot, sum alone": lambda: cupy.tensordot(soft, part, 3)})  # fmt: skip
    organs = (labels * 17).astype(np.uint8)
    yield Case(f"layer_reduce {BIG}, 118 layers", moved,
               lambda: ops.layer_reduce(values, organs, num_layers=117))  # fmt: skip


def coarse(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    labels, cam = blocks(cupy, BIG), rng.random((32, 24, 16), dtype=np.float32)
    tensor = torch.as_tensor(cam, device="cuda")[None, None]
    peers = {"torch interpolate alone": lambda: torch.nn.functional.interpolate(tensor, BIG, mode="trilinear")}
    yield Case(f"layer_reduce of a coarse map {BIG}", labels.nbytes + cam.nbytes,
               lambda: ops.layer_reduce(cam, labels, num_layers=LAYERS), peers)  # fmt: skip
    fine = rng.random(HALF, dtype=np.float32)
    yield Case(f"layer_reduce of a half-size map {BIG}", labels.nbytes + fine.nbytes,
               lambda: ops.layer_reduce(fine, labels, num_layers=LAYERS))  # fmt: skip
    turned = np.diag([1 / 16, 1 / 16, 1 / 16, 1.0])
    turned[1, 2] = 0.004
    yield Case(f"layer_reduce of an oblique map {BIG}", labels.nbytes + cam.nbytes,
               lambda: ops.layer_reduce(cam, labels, num_layers=LAYERS, grid_map=turned))  # fmt: skip
    size = (LAYERS + 1) * cam.size * 8
    yield Case(f"layer_weights {BIG} for {cam.shape}", labels.nbytes + size,
               lambda: ops.layer_weights(labels, cam.shape, num_layers=LAYERS))  # fmt: skip
    yield Case(f"layer_weights {BIG} for {cam.shape}, oblique", labels.nbytes + size,
               lambda: ops.layer_weights(labels, cam.shape, num_layers=LAYERS, grid_map=turned))  # fmt: skip


def composed(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    """Coalitions of layers: a fill of one value a layer, and a whole image of fill."""
    for sets_n, shape in ((16, NET), (128, NET), (16, (127, 127, 127))):
        image, mask = rng.random((1, *shape), dtype=np.float32), blocks(cupy, shape)
        sets = rng.random((sets_n, LAYERS + 1)) < 0.5
        fill, out = cupy.zeros((1, LAYERS + 1), np.float32), cupy.empty((sets_n, 1, *shape), np.float32)
        tensors = [torch.as_tensor(array, device="cuda") for array in (sets, mask, image)]

        def by_torch(t: list[Any] = tensors) -> Any:
            return torch.where(t[0][:, t[1].long()][:, None], t[2][None], 0.0)

        yield Case(f"layer_compose {sets_n} x {shape}", image.nbytes + mask.nbytes + out.nbytes,
                   lambda i=image, m=mask, s=sets, f=fill, o=out: ops.layer_compose(i, m, s, fill_values=f, out=o),
                   {"cupy where": lambda i=image, m=mask, s=sets: cupy.where(s[:, m][:, None], i[None], 0),
                    "torch where": by_torch})  # fmt: skip


def intensities(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    values, made = rng.random(BIG, dtype=np.float32), cupy.empty(BIG, np.float32)
    grey = (values * 255).astype(np.uint8)
    tensor = torch.as_tensor(values, device="cuda")
    yield Case(f"normalize window float32 {BIG}", values.nbytes + made.nbytes,
               lambda: ops.normalize(values, method="window", window=(0.2, 0.7), out=made),
               {"cupy clip": lambda: cupy.clip((values - 0.2) / 0.5, 0, 1),
                "torch clip": lambda: ((tensor - 0.2) / 0.5).clip(0, 1)})  # fmt: skip
    yield Case(f"normalize window uint8 {BIG}", grey.nbytes + made.nbytes,
               lambda: ops.normalize(grey, method="window", window=(20, 200), out=made),
               {"cupy clip": lambda: cupy.clip((grey.astype(np.float32) - 20) / 180, 0, 1)})  # fmt: skip
    yield Case(f"intensity_stats float32 {BIG}", values.nbytes, lambda: ops.intensity_stats(values),
               {"cupy mean, std, min, max": lambda: (values.mean(), values.std(), values.min(), values.max()),
                "torch std_mean": lambda: torch.std_mean(tensor)})  # fmt: skip
    yield Case(f"intensity_stats float32 {BIG}, percentiles", values.nbytes,
               lambda: ops.intensity_stats(values, percentiles=(0.5, 99.5)),
               {"cupy percentile alone": lambda: cupy.percentile(values, cupy.asarray([0.5, 99.5]))})  # fmt: skip
    yield Case(f"intensity_stats uint8 {BIG}, percentiles", grey.nbytes,
               lambda: ops.intensity_stats(grey, percentiles=(0.5, 99.5)),
               {"cupy bincount alone": lambda: cupy.bincount(grey.ravel())})  # fmt: skip
    deep = (values * 4000).astype(np.int16)
    yield Case(f"intensity_stats int16 {BIG}, percentiles", deep.nbytes,
               lambda: ops.intensity_stats(deep, percentiles=(0.5, 99.5)),
               {"cupy bincount alone": lambda: cupy.bincount(deep.ravel())})  # fmt: skip
