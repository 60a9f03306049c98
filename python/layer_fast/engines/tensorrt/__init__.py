"""TensorRT as an engine: full TensorRT 10 and 11 and TensorRT-RTX by one code path. Loads no library on import."""

from __future__ import annotations

from .engine import TensorRtEngine
from .library import find, installed, installed_version

__all__ = ["TensorRtEngine", "find", "installed", "installed_version"]
