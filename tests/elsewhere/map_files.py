"""Maps and masks as other tools write them: nibabel, axes (x, y, z[, channel])."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

MASK_AFFINE = np.diag([0.5, 0.25, 1.0, 1.0])  # x, y, z in mm
MASK_AFFINE[:3, 3] = (1.0, 2.0, 3.0)
COARSE = (2, 4, 2)  # mask voxels in a voxel of the coarse map, (z, y, x)


def labels() -> np.ndarray:
    """(z, y, x): background and the six layers, four voxels deep each."""
    depth = np.clip(np.arange(28) // 4, 0, 6)
    return np.broadcast_to(depth[None, :, None], (6, 28, 12)).astype(np.uint8)


def coarse_affine() -> np.ndarray:
    """Of a map that fills the mask's field of view: centres lie between the mask's."""
    out = MASK_AFFINE @ np.diag([COARSE[2], COARSE[1], COARSE[0], 1.0])
    out[:3, 3] = MASK_AFFINE[:3] @ [(COARSE[2] - 1) / 2, (COARSE[1] - 1) / 2, (COARSE[0] - 1) / 2, 1.0]
    return out


def save(path: Path, array: np.ndarray, affine: np.ndarray | None) -> Path:
    """(z, y, x) or (channel, z, y, x). affine None: a file that does not say where it lies."""
    image = nib.Nifti1Image(array.transpose(2, 1, 0) if array.ndim == 3 else array.transpose(3, 2, 1, 0), affine)
    if affine is None:
        image.header.set_zooms((0.5, 0.25, 1.0))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def mask_file(folder: Path) -> Path:
    return save(folder / "mask.nii.gz", labels(), MASK_AFFINE)


def coarse_map(seed: int = 0, channels: int = 0) -> np.ndarray:
    shape = (3, 7, 6) if not channels else (channels, 3, 7, 6)
    return np.random.default_rng(seed).gamma(1.0, 1.0, shape).astype(np.float32)
