"""PyTorch's interpolate and grid_sample. Tensors share the arrays' memory; uint8 needs a float copy, which is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import grid_sample, interpolate

from rivals import Inputs, Method
from rivals.numpy import moments

PACKAGE = "torch"
THREADED = True


def set_threads(count: int) -> None:
    torch.set_num_threads(count)


def _tensor(array: Any) -> Any:
    return torch.from_numpy(array)


def _linear(inputs: Inputs) -> Any:
    volume, shape = _tensor(inputs["volume"])[None, None], inputs["shape"]
    return lambda: interpolate(volume.float(), shape, mode="trilinear", align_corners=False)[0, 0].numpy()


def _nearest(inputs: Inputs) -> Any:
    volume, shape = _tensor(inputs["volume"])[None, None], inputs["shape"]
    return lambda: interpolate(volume, shape, mode="nearest-exact")[0, 0].numpy()


def _antialias(inputs: Inputs) -> Any:
    """antialias=True exists in 2D only: (y, x) with z as the batch, then z as the height of one wide picture."""
    volume, (mz, my, mx) = _tensor(inputs["volume"]), inputs["shape"]
    keep = {"mode": "bilinear", "align_corners": False, "antialias": True}

    def call() -> Any:
        flat = interpolate(volume[:, None], (my, mx), **keep).reshape(1, 1, len(volume), my * mx)
        return interpolate(flat, (mz, my * mx), **keep).reshape(mz, my, mx).numpy()

    return call


def _oblique(inputs: Inputs) -> Any:
    volume, shape = _tensor(inputs["volume"])[None, None], inputs["shape"]
    grid = _tensor(sampling_grid(inputs["grid_map"], inputs["volume"].shape, shape))
    keep = {"mode": "bilinear", "padding_mode": "border", "align_corners": False}
    return lambda: grid_sample(volume, grid, **keep)[0, 0].numpy()


def sampling_grid(grid_map: Any, shape_in: Any, shape_out: Any) -> Any:
    """grid_sample's coordinates, -1 to 1 at the outer faces, x first: float32 (1, *shape_out, 3)."""
    index = np.stack(np.meshgrid(*map(np.arange, shape_out), indexing="ij"), -1).astype(np.float64)
    at = index @ grid_map[:3, :3].T + grid_map[:3, 3]
    unit = (2 * at + 1) / np.array(shape_in) - 1
    return np.ascontiguousarray(unit[None, ..., ::-1], np.float32)


def _argmax(inputs: Inputs) -> Any:
    logits, shape = _tensor(inputs["logits"])[None], inputs["shape"]
    return lambda: (
        interpolate(logits, shape, mode="trilinear", align_corners=False)[0].argmax(0).to(torch.uint8).numpy()
    )


def _upsampled(inputs: Inputs) -> Any:
    cam, labels = _tensor(inputs["values"])[None, None], inputs["labels"]
    return interpolate(cam, labels.shape, mode="trilinear", align_corners=False)[0, 0].numpy()


def _cam_expected(inputs: Inputs, _: Any) -> Any:
    import layer_fast as lf

    return lf.resample(inputs["values"], inputs["labels"].shape)


METHODS = {
    "linear": {"torch interpolate": Method(_linear)},
    "nearest": {"torch interpolate": Method(_nearest, "the same (nearest-exact)")},
    "antialias": {"torch interpolate, two 2D passes": Method(_antialias)},
    "oblique": {"torch grid_sample": Method(_oblique, note="coordinates given, not timed")},
    "argmax": {"torch interpolate + argmax": Method(_argmax)},
    "cam": {
        "torch interpolate + numpy masks": Method(lambda i: lambda: moments(_upsampled(i), i["labels"])),
        "torch interpolate alone": Method(
            lambda i: lambda: _upsampled(i), "only upsamples", expected=_cam_expected, note="no statistics"
        ),
    },
}
