"""TorchIO's transforms on one ScalarImage."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchio as tio

from rivals import Inputs, Method

PACKAGE = "torchio"
THREADED = True


def set_threads(count: int) -> None:
    import SimpleITK as sitk

    torch.set_num_threads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)


def _image(volume: Any) -> Any:
    """Float first: Resample gives back whole numbers of whole numbers. Transforms copy the image they are given."""
    return tio.ScalarImage(tensor=torch.from_numpy(volume)[None].float())


def _resample(inputs: Inputs) -> Any:
    """Resample to a shape and affine: the half-pixel grid, said outright."""
    volume, shape = inputs["volume"], inputs["shape"]
    affine = np.eye(4)
    for axis, (n, m) in enumerate(zip(volume.shape, shape, strict=True)):
        affine[axis, axis], affine[axis, 3] = n / m, n / m / 2 - 0.5
    change = tio.Resample((shape, affine), image_interpolation="linear")
    image = _image(volume)
    return lambda: change(image)


def _clip(inputs: Inputs) -> Any:
    change = tio.RescaleIntensity((0, 1), percentiles=inputs["percentiles"])
    image = _image(inputs["volume"])
    return lambda: change(image)


def _zscore(inputs: Inputs) -> Any:
    change = tio.ZNormalization(masking_method=lambda x: x != 0)
    image = _image(inputs["volume"])
    return lambda: change(image)


def _sample_std(inputs: Inputs, ours: Any) -> Any:
    n = np.count_nonzero(inputs["volume"])
    return ours * np.float32(np.sqrt((n - 1) / n))


def _array(result: Any) -> Any:
    return result.data[0].numpy()


_CLIP = {"TorchIO RescaleIntensity": Method(_clip, convert=_array)}
METHODS = {
    "linear": {"TorchIO Resample": Method(_resample, convert=_array)},
    "zscore": {"TorchIO ZNormalization": Method(_zscore, "std with n - 1", expected=_sample_std, convert=_array)},
    "clip": _CLIP,
    "clip_u8": _CLIP,
}
