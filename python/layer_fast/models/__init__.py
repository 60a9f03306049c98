"""Model packages: a folder with a manifest, an ONNX graph and, for classifiers, a fill profile."""

from __future__ import annotations

from .fill import constant_fill, depth_bins, fill_image, mean_profile
from .folds import FoldMap, load_folds
from .loading import REFERENCE, Models, is_fold_map, load_models
from .manifest import Manifest
from .package import ModelPackage, load_package
from .subjects import Exposure, new_salt, subject_hash

__all__ = [
    "REFERENCE",
    "Exposure",
    "FoldMap",
    "Manifest",
    "ModelPackage",
    "Models",
    "constant_fill",
    "depth_bins",
    "fill_image",
    "is_fold_map",
    "load_folds",
    "load_models",
    "load_package",
    "mean_profile",
    "new_salt",
    "subject_hash",
]
