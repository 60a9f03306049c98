"""torch.onnx.export as a function that only speaks up in errors."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import onnx


def to_onnx(
    net: Any,
    image: Any,
    *,
    opset: int = 18,
    dims: Mapping[int, Any] | None = None,
    outputs: Sequence[str] = ("logits",),
    tracing: bool = False,
) -> onnx.ModelProto:
    """A module of one input, `image`. dims: which of its sizes stay open. tracing: by the older exporter, which takes a
    second, not ten, and writes sizes as arithmetic on Shape; there dims are names."""
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    names = {"opset_version": opset, "input_names": ["image"], "output_names": list(outputs), "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if tracing:
            file = io.BytesIO()
            opened = {"image": dict(dims), "logits": {0: dims[0]}} if dims else None
            torch.onnx.export(net, (image,), file, dynamo=False, dynamic_axes=opened, **names)
            return onnx.load_from_string(file.getvalue())
        shapes = (dict(dims),) if dims else None
        model: onnx.ModelProto = torch.onnx.export(
            net, (image,), dynamo=True, dynamic_shapes=shapes, **names
        ).model_proto
        return model
