"""An ONNX file into memory, with its external data if that lies beside it, and nothing else of the disk."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..files import read_regular
from ..models.graph_checks import parse
from ..models.package import MAX_FILE_BYTES

if TYPE_CHECKING:
    import onnx


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model with all weights inside. External data must be plain files beside the model, not links.

    Raises ModelError: unreadable, no ONNX, over 2 GiB in all, external data elsewhere or of the wrong size.
    """
    model = parse(read_regular(path, MAX_FILE_BYTES), str(path))
    return _with_external_data(model, path)


def _with_external_data(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    import onnx

    files: dict[str, bytes] = {}
    left = MAX_FILE_BYTES - model.ByteSize()
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entry = {item.key: item.value for item in tensor.external_data}
        name = entry.get("location", "")
        if name not in files:
            files[name] = _read_beside(path, name, left)
        data = _cut(files[name], entry, f"{path}: external data of {tensor.name!r}")
        _check_size(tensor, len(data), str(path))
        left -= len(data)
        if left < 0:
            raise ModelError(f"{path}: expected less than 2 GiB with its external data, found more")
        tensor.raw_data = data
        del tensor.external_data[:]
        tensor.ClearField("data_location")
    return model


def _read_beside(path: Path, name: str, limit: int) -> bytes:
    """The bytes of `name` in the folder of `path`: a plain name of a regular file, so that nothing else is reached."""
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ModelError(f"{path}: expected external data in a file beside the model, found location {name!r}")
    return read_regular(path.parent / name, limit, follow=False)


def _cut(data: bytes, entry: dict[str, str], where: str) -> bytes:
    numbers = {}
    for key, default in (("offset", 0), ("length", None)):
        text = entry.get(key)
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise ModelError(f"{where}: expected a whole number as {key}, found {text[:40]!r}")
        numbers[key] = default if text is None else int(text)
    start = numbers["offset"] or 0
    end = max(start, len(data)) if numbers["length"] is None else start + numbers["length"]
    if end > len(data):
        raise ModelError(f"{where}: expected {end} bytes in the file, found {len(data)}")
    return data[start:end]


def _check_size(tensor: onnx.TensorProto, found: int, where: str) -> None:
    from onnx import helper

    try:
        item = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except (KeyError, TypeError) as error:
        raise ModelError(f"{where}: weight {tensor.name!r}: expected a known element type, found {tensor.data_type}") \
            from error  # fmt: skip
    expected = prod(tensor.dims) * item
    if expected != found:
        raise ModelError(f"{where}: weight {tensor.name!r}: expected {expected} bytes of external data, found {found}")
