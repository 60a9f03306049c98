"""ONNX graphs in PyTorch: one small function per operator, in files by family. Imports torch: open it by name only."""

from __future__ import annotations

from .engine import TorchEngine
from .registry import OPS

__all__ = ["OPS", "TorchEngine"]
