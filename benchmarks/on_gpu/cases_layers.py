"""The cases of bench_gpu_ops.py that are about layers and intensities: bytes, our call, and what others call for it.

A peer is the shortest way that users of CuPy or PyTorch have; where it gives less than ours, its name says what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from layer_fast import ops
from on_gpu.case import LAYERS, Case, Kit, Peer, blocks, case
from on_gpu.peers import intensity_peers, of_a_reduction, window_peers

ROWS = LAYERS + 1
SUMS = 1e-12  # tests/tolerances.py, SUM_RELATIVE; the same sum in the same order, hence the same bytes


def _reduce(name: str, maps: Any, labels: Any, peers: Any = None, **options: Any) -> Case:
    options = {"num_layers": LAYERS, **options}
    moved = maps.nbytes + (labels if labels is not None else options["weights"]).nbytes
    return case(f"layer_reduce {name}", moved, ops.layer_reduce, maps, labels, peers=peers, tolerance=1e-9, **options)


def reduced(kit: Kit) -> Iterator[Case]:
    """One map, several maps, the small volumes that come in numbers, and labels in no order (the worst case)."""
    big, net, rng = kit.big, kit.net, kit.rng()
    labels, values = blocks(kit, big), rng.random(big, dtype=np.float32)
    yield _reduce(f"{big}", values, labels, of_a_reduction(kit, values, labels))
    yield _reduce(f"{big}, values of both signs", values - 0.5, labels)
    yield _reduce(f"6 x {big}", rng.random((6, *big), dtype=np.float32), labels)
    small, many = blocks(kit, net), rng.random((32, *net), dtype=np.float32)
    yield _reduce(f"32 x {net}", many, small)
    yield _reduce(f"1 x {net}", many[0], small)
    mixed = rng.integers(0, ROWS, big).astype(np.uint8)
    yield _reduce(f"{big}, labels in no order", values, mixed, of_a_reduction(kit, values, mixed))


def reduced_otherwise(kit: Kit) -> Iterator[Case]:
    """Order statistics, a histogram, soft weights, many layers."""
    xp, big, rng = kit.xp, kit.big, kit.rng()
    labels, values = blocks(kit, big), rng.random(big, dtype=np.float32)

    def quantiles() -> Any:
        asked = xp.asarray([50.0, 95.0])
        return xp.stack([xp.percentile(values[labels == row], asked) for row in range(ROWS)])

    masks = Peer(quantiles, "the same; median and p95 alone", like=lambda ours: ours.quantiles[0], limit=1e-6)
    yield _reduce(f"{big}, median, p95, top 5 %", values, labels, {"cupy masks, percentile": masks},
                  quantiles=(0.5, 0.95), top_fraction=0.05)  # fmt: skip
    yield _reduce(f"{big}, histogram of 64 bins", values, labels, histogram=(0.0, 1.0, 64))
    half = tuple(n // 2 for n in big)
    soft, part = rng.random((ROWS, *half), dtype=np.float32), values[: half[0], : half[1], : half[2]].copy()
    tensordot = Peer(lambda: xp.tensordot(soft, part, 3), "sum alone, in float32", lambda ours: ours.sum[0], 1e-3)
    yield _reduce(f"{half}, soft weights", part, None, {"cupy tensordot": tensordot}, weights=soft)
    yield _reduce(f"{big}, 118 layers", values, (labels * 17).astype(np.uint8), num_layers=117)


def coarse(kit: Kit) -> Iterator[Case]:
    big, rng = kit.big, kit.rng()
    sixteenth, half = tuple(n // 16 for n in big), tuple(n // 2 for n in big)
    labels, cam = blocks(kit, big), rng.random(sixteenth, dtype=np.float32)
    peers = {}
    if kit.torch is not None:
        tensor, index = kit.tensor(cam)[None, None], kit.tensor(labels).ravel().long()
        zeros, interpolate = kit.torch.zeros, kit.torch.nn.functional.interpolate
        peers["torch interpolate, scatter_add"] = Peer(
            lambda: zeros(ROWS, device=kit.device).scatter_add(
                0, index, interpolate(tensor, big, mode="trilinear").ravel()),
            "sum alone, in float32", lambda ours: ours.sum[0], 1e-2,
        )  # fmt: skip
    yield _reduce(f"of a coarse map {sixteenth} on {big}", cam, labels, peers)
    yield _reduce(f"of a half-size map on {big}", rng.random(half, dtype=np.float32), labels)
    turned = np.diag([1 / 16, 1 / 16, 1 / 16, 1.0])
    turned[1, 2] = 0.004
    yield _reduce(f"of an oblique map on {big}", cam, labels, grid_map=turned)
    size = ROWS * cam.size * 8
    for words, grid_map in (("", None), (", oblique", turned)):
        yield case(f"layer_weights {big} for {sixteenth}{words}", labels.nbytes + size, ops.layer_weights, labels,
                   sixteenth, num_layers=LAYERS, grid_map=grid_map, tolerance=SUMS)  # fmt: skip


def composed(kit: Kit) -> Iterator[Case]:
    """Coalitions of layers: a fill of one value a layer, and a whole image of fill."""
    xp, rng = kit.xp, kit.rng()
    odd = tuple(n - 1 for n in kit.net)
    for count, shape in ((16, kit.net), (128, kit.net), (16, odd)):
        image, mask = rng.random((1, *shape), dtype=np.float32), blocks(kit, shape)
        sets = rng.random((count, ROWS)) < 0.5
        fill, out = xp.zeros((1, ROWS), np.float32), xp.empty((count, 1, *shape), np.float32)
        yield case(f"layer_compose {count} x {shape}", image.nbytes + mask.nbytes + out.nbytes, ops.layer_compose,
                   image, mask, sets, fill_values=fill, out=out, peers=wheres(kit, image, mask, sets),
                   tolerance=0.0)  # fmt: skip


def wheres(kit: Kit, image: Any, mask: Any, sets: Any) -> dict[str, Peer]:
    peers = {"cupy where": Peer(lambda: kit.xp.where(sets[:, mask][:, None], image[None], np.float32(0)), limit=0.0)}
    if kit.torch is not None:
        where, (s, m, i) = kit.torch.where, [kit.tensor(array) for array in (sets, mask, image)]
        peers["torch where"] = Peer(lambda: where(s[:, m.long()][:, None], i[None], 0.0), limit=0.0)
    return peers


def intensities(kit: Kit) -> Iterator[Case]:
    xp, big = kit.xp, kit.big
    values, made = kit.rng().random(big, dtype=np.float32), xp.empty(big, np.float32)
    grey = (values * 255).astype(np.uint8)
    for volume, window in ((values, (0.2, 0.7)), (grey, (20, 200))):
        yield case(f"normalize window {volume.dtype} {big}", volume.nbytes + made.nbytes, ops.normalize, volume,
                   method="window", window=window, out=made, peers=window_peers(kit, volume, window))  # fmt: skip
    yield case(f"intensity_stats float32 {big}", values.nbytes, ops.intensity_stats, values, tolerance=SUMS,
               peers=intensity_peers(kit, values))  # fmt: skip
    ranks = Peer(lambda: xp.percentile(values, xp.asarray([0.5, 99.5])), "percentiles alone",
                 lambda ours: ours.percentiles, 1e-6)  # fmt: skip
    yield case(f"intensity_stats float32 {big}, percentiles", values.nbytes, ops.intensity_stats, values,
               percentiles=(0.5, 99.5), tolerance=SUMS, peers={"cupy percentile": ranks})  # fmt: skip
    counts = Peer(lambda: xp.bincount(grey.ravel(), minlength=256), "histogram alone", lambda ours: ours.histogram, 0.0)
    yield case(f"intensity_stats uint8 {big}, percentiles", grey.nbytes, ops.intensity_stats, grey,
               percentiles=(0.5, 99.5), tolerance=SUMS, peers={"cupy bincount": counts})  # fmt: skip
    deep = (values * 4000).astype(np.int16)
    counts = Peer(lambda: xp.bincount(deep.ravel(), minlength=4000), "histogram from 0 to 3999 alone",
                  lambda ours: ours.histogram[-ours.histogram_low :][:4000], 0.0)  # fmt: skip
    yield case(f"intensity_stats int16 {big}, percentiles", deep.nbytes, ops.intensity_stats, deep,
               percentiles=(0.5, 99.5), tolerance=SUMS, peers={"cupy bincount": counts})  # fmt: skip


LAYERED = (reduced, reduced_otherwise, coarse, composed, intensities)
