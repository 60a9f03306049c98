"""From a classifier or segmenter of your own, ONNX or PyTorch, to a model package."""

from __future__ import annotations

from .fields import Fields, read_fields
from .onnx_route import export_onnx
from .torch_route import export_torch

__all__ = ["Fields", "export_onnx", "export_torch", "read_fields"]
