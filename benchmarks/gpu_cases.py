"""The cases of bench_gpu_ops.py: one op of ours, what others call for it, and the bytes that have to be moved.

Bytes are those that no implementation can do without: every input read once, every output written once. Peers get
arrays in the type that they need, made before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layer_fast import ops

BIG, NET, LAYERS = (512, 384, 256), (128, 128, 128), 6
Call = Callable[[], Any]


@dataclass
class Case:
    """`ours` and `peers` run on the current stream; `moved` is the bytes of inputs and outputs."""

    name: str
    moved: int
    ours: Call
    peers: dict[str, Call] = field(default_factory=dict)


def cases(cupy: Any, torch: Any) -> Iterator[Case]:
    """All cases, each made when its turn comes, so that one case's arrays are gone before the next one's come."""
    from gpu_cases_layers import layered  # which takes Case from here

    rng = cupy.random.default_rng(0)
    yield from resampling(cupy, torch, rng)
    yield from labelled(cupy, torch, rng)
    yield from layered(cupy, torch, rng)


def resampling(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    from cupyx.scipy import ndimage

    small = (400, 300, 200)
    scales = [m / n for m, n in zip(BIG, small, strict=True)]
    for dtype in ("float32", "uint8"):
        volume = (rng.random(small, dtype=np.float32) * 255).astype(dtype)
        tensor, out = torch.as_tensor(volume, device="cuda")[None, None].float(), cupy.empty(BIG, np.float32)
        for kind, order in (("linear", 1), ("cubic", 3), ("bspline", 3)):
            peers: dict[str, Call] = {
                "cupyx zoom": lambda o=order, v=volume: ndimage.zoom(v, scales, order=o, output=np.float32)
            }
            if kind == "linear":
                peers["torch interpolate"] = lambda t=tensor: torch.nn.functional.interpolate(t, BIG, mode="trilinear")
            if kind == "cubic":
                peers = {}  # neither has Catmull-Rom in three dimensions
            yield Case(f"resample {kind} {dtype} to {BIG}", volume.nbytes + out.nbytes,
                       lambda k=kind, v=volume, o=out: ops.resample(v, BIG, interpolation=k, out=o), peers)  # fmt: skip
    volume = (rng.random(BIG, dtype=np.float32) * 255).astype(np.uint8)
    net = cupy.empty(NET, np.float32)
    yield Case(f"resample to {NET} with antialias and window", volume.nbytes + net.nbytes,
               lambda: ops.resample(volume, NET, antialias=True, window=(0, 255), out=net))  # fmt: skip
    yield oblique(cupy, torch, rng)


def oblique(cupy: Any, torch: Any, rng: Any) -> Case:
    from cupyx.scipy import ndimage

    volume, out = rng.random(BIG, dtype=np.float32), cupy.empty(BIG, np.float32)
    angle = 0.1
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = torch.nn.functional.affine_grid(torch.eye(3, 4, device="cuda")[None], (1, 1, *BIG), align_corners=False)
    tensor = torch.as_tensor(volume, device="cuda")[None, None]
    peers = {
        "cupyx affine_transform": lambda: ndimage.affine_transform(volume, matrix, order=1, mode="nearest"),
        "torch grid_sample, grid made before": lambda: torch.nn.functional.grid_sample(
            tensor, grid, padding_mode="border", align_corners=False
        ),
    }
    return Case(f"resample linear oblique {BIG}", volume.nbytes + out.nbytes,
                lambda: ops.resample(volume, BIG, grid_map=matrix, out=out), peers)  # fmt: skip


def labelled(cupy: Any, torch: Any, rng: Any) -> Iterator[Case]:
    labels = blocks(cupy, BIG)
    small = cupy.empty((LAYERS + 1, *NET), np.float32)
    yield Case(f"resample_labels fraction {BIG} to {NET}", labels.nbytes + small.nbytes,
               lambda: ops.resample_labels(labels, NET, mode="fraction", num_labels=LAYERS + 1, out=small))  # fmt: skip
    near = cupy.empty((256, 192, 128), np.uint8)
    yield Case(f"resample_labels nearest {BIG} to half", labels.nbytes // 4 + near.nbytes,
               lambda: ops.resample_labels(labels, near.shape, out=near))  # fmt: skip
    logits = rng.random((LAYERS + 1, *NET), dtype=np.float32)
    coarse = blocks(cupy, NET)
    for k in range(LAYERS + 1):
        logits[k] += 4 * (coarse == k)
    tensor, out = torch.as_tensor(logits, device="cuda")[None], cupy.empty(BIG, np.uint8)
    peers = {
        "torch interpolate, argmax": lambda: torch.nn.functional.interpolate(tensor, BIG, mode="trilinear").argmax(1)
    }
    yield Case(f"argmax_resample {NET} to {BIG}", logits.nbytes + out.nbytes,
               lambda: ops.argmax_resample(logits, BIG, out=out), peers)  # fmt: skip


def blocks(cupy: Any, shape: tuple[int, int, int]) -> Any:
    """Labels in wavy layers along y: smooth regions, as tissue has."""
    z, y, x = (cupy.arange(n, dtype=np.float32) for n in shape)
    depth = y[None, :, None] / shape[1] + 0.02 * cupy.sin(x[None, None, :] / 9) + 0.02 * cupy.cos(z[:, None, None] / 11)
    return cupy.clip(depth * (LAYERS + 1), 0, LAYERS).astype(np.uint8)
