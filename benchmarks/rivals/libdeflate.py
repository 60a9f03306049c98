"""libdeflate alone: the inflating that any reader of .nii.gz has to do, without a header read or a check made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deflate
import numpy as np

from rivals import Inputs, Method

PACKAGE = "deflate"
THREADED = False


def _inflate(inputs: Inputs) -> Any:
    path, shape = Path(inputs["path"]), inputs["shape"]

    def call() -> Any:
        data = deflate.gzip_decompress(path.read_bytes())
        return np.frombuffer(data, np.uint8, offset=352).reshape(shape)

    return call


METHODS = {"read": {"libdeflate alone": Method(_inflate, note="no header, no checks")}}
