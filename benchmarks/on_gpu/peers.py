"""What users of CuPy, PyTorch and MONAI call for reductions and intensities, and how their answers compare to ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from on_gpu.case import LAYERS, Kit, Peer

ROWS = LAYERS + 1
FLOAT32_SUM = 1e-2  # millions of float32 numbers added in float32, in an order that changes from call to call


def of_a_reduction(kit: Kit, values: Any, labels: Any) -> dict[str, Peer]:
    """Sums, means, and boolean masks; each says what it leaves out."""
    xp, ndimage = kit.xp, kit.ndimage
    rows = xp.arange(ROWS)

    def masks() -> Any:
        chosen = [values[labels == row] for row in range(ROWS)]
        values_of = (lambda v: v.size, lambda v: v.sum(dtype=np.float64), lambda v: v.min(), lambda v: v.max(),
                     lambda v: v.std(dtype=np.float64))  # fmt: skip
        return tuple(xp.stack([xp.asarray(one(v)) for v in chosen]) for one in values_of)

    def like(ours: Any) -> Any:
        return ours.count[0], ours.sum[0], ours.min[0], ours.max[0], ours.std()[0]

    peers = {
        "cupyx sum_labels": Peer(lambda: ndimage.sum_labels(values, labels, rows), "sum alone",
                                 lambda ours: ours.sum[0], FLOAT32_SUM),
        "cupyx mean": Peer(lambda: ndimage.mean(values, labels, rows), "mean alone",
                           lambda ours: ours.mean()[0], FLOAT32_SUM),
        "cupyx standard_deviation": Peer(lambda: ndimage.standard_deviation(values, labels, rows), "deviation alone",
                                         lambda ours: ours.std()[0], FLOAT32_SUM),
        "cupy masks": Peer(masks, "count, sum, min, max, deviation", like, 1e-6),
    }  # fmt: skip
    return peers | (torch_sums(kit, values, labels) if kit.torch is not None else {})


def torch_sums(kit: Kit, values: Any, labels: Any) -> dict[str, Peer]:
    flat, index, torch = kit.tensor(values).ravel(), kit.tensor(labels).ravel().long(), kit.torch
    return {
        "torch scatter_add": Peer(
            lambda: torch.zeros(ROWS, device=kit.device).scatter_add(0, index, flat), "sum alone, in float32",
            lambda ours: ours.sum[0], FLOAT32_SUM),
        "torch bincount": Peer(
            lambda: (torch.bincount(index, minlength=ROWS), torch.bincount(index, flat, minlength=ROWS)),
            "count and sum, in float32", lambda ours: (ours.count[0], ours.sum[0]), FLOAT32_SUM),
    }  # fmt: skip


def window_peers(kit: Kit, volume: Any, window: tuple[float, float]) -> dict[str, Peer]:
    low, width = window[0], window[1] - window[0]
    xp = kit.xp
    peers = {"cupy clip": Peer(lambda: xp.clip((volume.astype(np.float32) - np.float32(low)) / np.float32(width), 0, 1),
                               limit=1e-6)}  # fmt: skip
    if kit.torch is None:
        return peers
    tensor = kit.tensor(volume)
    peers["torch clip"] = Peer(lambda: ((tensor.float() - low) / width).clip(0, 1), limit=1e-6)
    if kit.monai is not None:
        change = kit.monai.transforms.ScaleIntensityRange(*window, 0.0, 1.0, clip=True)
        whole = tensor.float()  # it would count down from 0 to 255 in uint8
        peers["MONAI ScaleIntensityRange"] = Peer(lambda: change(whole), "the same; float32 made before", limit=1e-6)
    return peers


def intensity_peers(kit: Kit, values: Any) -> dict[str, Peer]:
    peers = {"cupy mean, std, min, max": Peer(
        lambda: (values.mean(), values.std(), values.min(), values.max()), "in float32",
        lambda ours: (ours.mean, ours.std, ours.min, ours.max), 1e-4,
    )}  # fmt: skip
    if kit.torch is not None:
        tensor = kit.tensor(values)
        peers["torch std_mean"] = Peer(lambda: kit.torch.std_mean(tensor, correction=0), "in float32; no extremes",
                                       lambda ours: (ours.std, ours.mean), 1e-4)  # fmt: skip
    return peers
