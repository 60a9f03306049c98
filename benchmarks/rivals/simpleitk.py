"""SimpleITK's filters on images that exist already; the result stays an image, as a view of it costs nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from rivals import Inputs, Method

PACKAGE = "SimpleITK"
THREADED = True


def set_threads(count: int) -> None:
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)


def _resample(how: int) -> Any:
    """Half-pixel: the output's origin lies at s/2 - 1/2 of the input's grid."""

    def prepare(inputs: Inputs) -> Any:
        volume, shape = inputs["volume"], inputs["shape"]
        image = sitk.GetImageFromArray(volume)
        step = [n / m for n, m in zip(volume.shape[::-1], shape[::-1], strict=True)]
        kind = sitk.sitkUInt8 if how == sitk.sitkNearestNeighbor else sitk.sitkFloat32
        start = [s / 2 - 0.5 for s in step]
        size, identity, straight = shape[::-1], sitk.Transform(), np.eye(3).ravel().tolist()

        return lambda: sitk.Resample(image, size, identity, how, start, step, straight, 0.0, kind)

    return prepare


def _oblique(inputs: Inputs) -> Any:
    image, matrix = sitk.GetImageFromArray(inputs["volume"]), inputs["grid_map"]
    turn = sitk.AffineTransform(3)
    turn.SetMatrix(matrix[:3, :3][::-1, ::-1].ravel().tolist())
    turn.SetTranslation(matrix[:3, 3][::-1].tolist())
    size, straight = inputs["shape"][::-1], np.eye(3).ravel().tolist()
    return lambda: sitk.Resample(
        image, size, turn, sitk.sitkLinear, [0.0] * 3, [1.0] * 3, straight, 0.0, sitk.sitkFloat32
    )


def _label_statistics(inputs: Inputs) -> Any:
    values, labels = (sitk.GetImageFromArray(inputs[name]) for name in ("values", "labels"))
    names = {"sum": "Sum", "mean": "Mean", "min": "Minimum", "max": "Maximum", "std": "Sigma"}

    def call() -> dict[str, Any]:
        found = sitk.LabelStatisticsImageFilter()
        found.Execute(values, labels)
        rows = {key: np.array([getattr(found, f"Get{name}")(k) for k in range(7)]) for key, name in names.items()}
        return rows | {"count": np.array([found.GetCount(k) for k in range(7)])}

    return call


def _sample_std(_: Inputs, ours: Any) -> Any:
    return ours | {"std": ours["std"] * np.sqrt(ours["count"] / (ours["count"] - 1))}


def _read(inputs: Inputs) -> Any:
    return lambda: sitk.ReadImage(str(inputs["path"]))


def _image(prepare: Any) -> Method:
    return Method(prepare, convert=sitk.GetArrayFromImage)


METHODS = {
    "linear": {"SimpleITK Resample": _image(_resample(sitk.sitkLinear))},
    "nearest": {"SimpleITK Resample": _image(_resample(sitk.sitkNearestNeighbor))},
    "bspline": {"SimpleITK Resample": _image(_resample(sitk.sitkBSpline))},
    "oblique": {"SimpleITK Resample": _image(_oblique)},
    "reduce": {"SimpleITK LabelStatistics": Method(_label_statistics, "std with n - 1", expected=_sample_std)},
    "read": {"SimpleITK ReadImage": _image(_read)},
}
