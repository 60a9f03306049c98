"""VTK's ImageReslice."""

from __future__ import annotations

from typing import Any

import vtk
from vtk.util import numpy_support

from rivals import Inputs, Method

PACKAGE = "vtk"
THREADED = True


def set_threads(count: int) -> None:
    vtk.vtkMultiThreader.SetGlobalMaximumNumberOfThreads(count)
    vtk.vtkMultiThreader.SetGlobalDefaultNumberOfThreads(count)
    vtk.vtkSMPTools.Initialize(count)


def _reslice(how: str) -> Any:
    """Half-pixel: output spacing s and origin s/2 - 1/2 on the input's grid."""

    def prepare(inputs: Inputs) -> Any:
        volume, shape = inputs["volume"], inputs["shape"]
        image = vtk.vtkImageData()
        image.SetDimensions(*volume.shape[::-1])
        kind = numpy_support.get_vtk_array_type(volume.dtype)
        image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(volume.reshape(-1), deep=False, array_type=kind))
        step = [n / m for n, m in zip(volume.shape[::-1], shape[::-1], strict=True)]

        def call() -> Any:
            reslice = vtk.vtkImageReslice()
            reslice.SetInputData(image)
            reslice.SetOutputSpacing(*step)
            reslice.SetOutputOrigin(*[s / 2 - 0.5 for s in step])
            reslice.SetOutputExtent(0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)
            reslice.BorderOn()
            reslice.SetOutputScalarType(vtk.VTK_FLOAT)
            getattr(reslice, f"SetInterpolationModeTo{how}")()
            reslice.Update()
            scalars = reslice.GetOutput().GetPointData().GetScalars()
            return numpy_support.vtk_to_numpy(scalars).reshape(shape)

        return call

    return prepare


METHODS = {
    "linear": {"VTK ImageReslice": Method(_reslice("Linear"))},
    "cubic": {"VTK ImageReslice": Method(_reslice("Cubic"), crop=1)},
}
