"""The cases of bench_gpu_ops.py: one op of ours, what others call for it, and the bytes that have to be moved.

Bytes are those that no implementation can do without: every input read once, every output written once. Peers get
arrays in the type that they need, made before the clock starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from layer_fast import ops
from on_gpu.case import LAYERS, Case, Kit, Peer, blocks, case
from on_gpu.cases_batched import batched
from on_gpu.cases_layers import LAYERED


def resampling(kit: Kit) -> Iterator[Case]:
    xp, rng, big = kit.xp, kit.rng(), kit.big
    small = tuple(25 * n // 32 for n in big)
    for dtype in ("float32", "uint8"):
        volume, out = (rng.random(small, dtype=np.float32) * 255).astype(dtype), xp.empty(big, np.float32)
        for kind in ("linear", "cubic", "bspline"):
            yield case(f"resample {kind} {dtype} to {big}", volume.nbytes + out.nbytes, ops.resample, volume, big,
                       interpolation=kind, out=out, peers=zooms(kit, kind, volume),
                       tolerance=4e-6 if kind == "bspline" else 1e-6)  # fmt: skip
    volume, net = (rng.random(big, dtype=np.float32) * 255).astype(np.uint8), xp.empty(kit.net, np.float32)
    yield case(f"resample {big} to {kit.net} with antialias and window", volume.nbytes + net.nbytes, ops.resample,
               volume, kit.net, antialias=True, window=(0, 255), out=net)  # fmt: skip
    yield oblique(kit)


def zooms(kit: Kit, kind: str, volume: Any) -> dict[str, Peer]:
    """Half-pixel zooms. cupyx's own default, grid_mode=False, aligns corners; nobody has Catmull-Rom in 3-D."""
    if kind == "cubic":
        return {}
    scales = [m / n for m, n in zip(kit.big, volume.shape, strict=True)]
    order, mode = (1, "nearest") if kind == "linear" else (3, "mirror")

    def zoom() -> Any:
        return kit.ndimage.zoom(volume, scales, order=order, mode=mode, grid_mode=True, output=np.float32)

    if kind == "bspline":
        words = "mode mirror: beyond the outermost centres it mirrors, ours clamps; 1 voxel of border left out"
        return {"cupyx zoom": Peer(zoom, words, crop=1)}
    peers = {"cupyx zoom": Peer(zoom, "the same (grid_mode, mode nearest)")}
    if kit.torch is not None:
        tensor = kit.tensor(volume)[None, None].float()
        interpolate = kit.torch.nn.functional.interpolate
        peers["torch interpolate"] = Peer(
            lambda: interpolate(tensor, kit.big, mode="trilinear")[0, 0], "the same; float32 made before"
        )
        if kit.monai is not None:
            resize = kit.monai.transforms.Resize(kit.big, mode="trilinear", align_corners=False)
            peers["MONAI Resize"] = Peer(lambda: resize(tensor[0])[0], "the same; float32 made before")
    return peers


def oblique(kit: Kit) -> Case:
    xp, big = kit.xp, kit.big
    volume, out = kit.rng().random(big, dtype=np.float32), xp.empty(big, np.float32)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    affine = xp.asarray(matrix)
    peers = {"cupyx affine_transform": Peer(
        lambda: kit.ndimage.affine_transform(volume, affine, order=1, mode="nearest"))}  # fmt: skip
    if kit.torch is not None:
        tensor, grid = kit.tensor(volume)[None, None], sampling_grid(kit, matrix)
        sample = kit.torch.nn.functional.grid_sample
        peers["torch grid_sample"] = Peer(
            lambda: sample(tensor, grid, padding_mode="border", align_corners=False)[0, 0],
            "the same; grid in float32, made before", limit=1e-3,
        )  # fmt: skip
    return case(f"resample linear oblique {big}", volume.nbytes + out.nbytes, ops.resample, volume, big,
                grid_map=matrix, out=out, peers=peers)  # fmt: skip


def sampling_grid(kit: Kit, matrix: Any) -> Any:
    """(1, z, y, x, 3) for grid_sample: the input position of each output voxel, x first, from edge (-1) to edge (1)."""
    index = kit.torch.meshgrid(*(kit.torch.arange(n, device=kit.device) for n in kit.big), indexing="ij")
    axes = []
    for row, n in zip(matrix[:3], kit.big, strict=True):
        position = sum(float(factor) * axis for factor, axis in zip(row[:3], index, strict=True)) + float(row[3])
        axes.append((2 * position + 1) / n - 1)
    return kit.torch.stack(axes[::-1], -1)[None].float()


def labelled(kit: Kit) -> Iterator[Case]:
    xp, big, net, rows = kit.xp, kit.big, kit.net, LAYERS + 1
    labels, small = blocks(kit, big), xp.empty((rows, *net), np.float32)
    yield case(f"resample_labels fraction {big} to {net}", labels.nbytes + small.nbytes, ops.resample_labels, labels,
               net, mode="fraction", num_labels=rows, out=small)  # fmt: skip
    half = tuple(n // 2 for n in big)
    near = xp.empty(half, np.uint8)
    yield case(f"resample_labels nearest {big} to half", labels.nbytes // 4 + near.nbytes, ops.resample_labels, labels,
               half, out=near, tolerance=0.0, measure="fraction")  # fmt: skip
    coarse = blocks(kit, net)
    logits = kit.rng().random((rows, *net), dtype=np.float32)
    for k in range(rows):
        logits[k] += 4 * (coarse == k)
    out, peers = xp.empty(big, np.uint8), {}
    if kit.torch is not None:
        tensor, interpolate = kit.tensor(logits)[None], kit.torch.nn.functional.interpolate
        peers["torch interpolate, argmax"] = Peer(
            lambda: interpolate(tensor, big, mode="trilinear").argmax(1)[0],
            "the same; ties by rounding", limit=1e-4, measure="fraction",
        )  # fmt: skip
    yield case(f"argmax_resample {net} to {big}", logits.nbytes + out.nbytes, ops.argmax_resample, logits, big,
               out=out, peers=peers, tolerance=0.0, measure="fraction")  # fmt: skip


# Each makes a case when its turn comes, so that one case's arrays are gone before the next one's come.
GROUPS = (resampling, labelled, *LAYERED, batched)
