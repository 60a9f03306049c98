"""ONNX in, ONNX out: gradients and class activation maps as ordinary graphs, half precision, checks."""

from __future__ import annotations

from . import (  # noqa: F401  (importing a family registers its rules)
    activations,
    conv,
    elementwise,
    indexing,
    matmul,
    movement,
    norm,
    padding,
    pool,
    reductions,
    resize,
    slicing,
    trigonometry,
)
from .autodiff import gradient
from .check import check_model
from .gradcam import check_activation, find_activations, gradcam, hirescam
from .half import to_half
from .heads import class_maps
from .slices import over_slices
from .target import with_target

__all__ = [
    "check_activation", "check_model", "class_maps", "find_activations", "gradcam", "gradient", "hirescam",
    "over_slices", "to_half", "with_target",
]  # fmt: skip
