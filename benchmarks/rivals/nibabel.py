"""nibabel, the usual reader of NIfTI."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np

from rivals import Inputs, Method

PACKAGE = "nibabel"
THREADED = False


def _read(inputs: Inputs) -> Any:
    return lambda: np.asarray(nibabel.load(inputs["path"]).dataobj).T


METHODS = {"read": {"nibabel dataobj": Method(_read)}}
