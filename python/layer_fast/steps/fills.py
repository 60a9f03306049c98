"""What stands where a removed layer was, on the classifier's grid: one array per fill, whatever the coalition."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, StepFailure
from ..models import ModelPackage
from ..models.fill import AXES, constant_fill, fill_image
from ..types import REGIONS
from .prepare import Donor, ModelInput

Image = NDArray[np.float32]
Labels = NDArray[np.uint8]
BLUR_SHARE = 1 / 8  # SD of the blur as a part of the grid, along each axis
BLUR_REACH = 8.0  # SDs at which it is cut: the whole grid, so that a thick layer's middle sees its outside


def fill_content(name: str, model_input: ModelInput, labels: Labels, package: ModelPackage) -> Image:
    """The fill of one scan for `layer_compose`: (C, 7), a number per channel and label, or a whole image (C, z, y, x).

    labels: (z, y, x) on the classifier's grid. Raises ModelError for a package without the profile that the fill needs,
    StepFailure where a scan has nothing to fill with.
    """
    image, axis = model_input.image, package.manifest.depth_axis
    if name in ("cohort_profile", "constant"):
        if package.fill_profile is None:
            raise ModelError(f"{package.path}: the fill {name} needs a fill profile, the package has none")
        profile = package.fill_profile
        return constant_fill(profile) if name == "constant" else fill_image(labels, profile, axis)
    if name == "donor":
        if model_input.donor is None:
            raise ModelError("the fill donor needs scans to take layers from: the option donors")
        return donor_image(labels, model_input.donor, axis)
    return {"blur": blurred_image, "layer_mean": layer_means, "shuffle": shuffled_image}[name](image, labels)


def layer_means(image: Image, labels: Labels) -> Image:
    """(C, 7) float32: the image's own mean by channel and label, in float64; 0 for a label without voxels, which
    nothing ever takes."""
    flat = labels.ravel()
    count = np.bincount(flat, minlength=len(REGIONS))
    sums = np.stack([np.bincount(flat, channel.ravel(), minlength=len(REGIONS)) for channel in image])
    return (sums / np.maximum(count, 1)).astype(np.float32)


def shuffled_image(image: Image, labels: Labels) -> Image:
    """(C, z, y, x) float32: within each label the voxels in another order, all channels of a voxel together. The order
    is drawn from the bytes of image and labels (PCG64 raw words), so a scan always gets the same."""
    digest = hashlib.sha256(np.ascontiguousarray(image).tobytes() + np.ascontiguousarray(labels).tobytes()).digest()
    bits = np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "big")))
    flat, own = labels.ravel(), image.reshape(len(image), -1)
    out = own.copy()
    for label in range(len(REGIONS)):
        where = np.flatnonzero(flat == label)
        order = np.argsort(np.asarray(bits.random_raw(len(where)), np.uint64), kind="stable")
        out[:, where] = own[:, where[order]]
    return out.reshape(image.shape)


def blurred_image(image: Image, labels: Labels) -> Image:
    """(C, z, y, x) float32: each label's voxels replaced by a heavy blur of all that lies outside the label
    (normalised convolution, Knutsson and Westin 1993), in float64, rounded once.

    A Gaussian with an SD of an eighth of the grid along each axis; weights beyond the grid are 0. Raises StepFailure
    for a scan of one label, which has no outside.
    """
    there = [label for label in range(len(REGIONS)) if (labels == label).any()]
    if len(there) < 2:
        raise StepFailure("fill_blur", "expected two regions or more to blur one by the others, found one",
                          input_at_fault=True)  # fmt: skip
    weights = {k: _smooth((labels == k).astype(np.float64)) for k in there}
    out = np.empty_like(image)
    for channel, target in zip(image, out, strict=True):
        parts = {k: _smooth(np.where(labels == k, channel, 0.0).astype(np.float64)) for k in there}
        for k in there:
            inside = labels == k
            total, weight = np.zeros(int(inside.sum())), np.zeros(int(inside.sum()))
            for j in there:
                if j != k:
                    total += parts[j][inside]
                    weight += weights[j][inside]
            target[inside] = total / weight
    return out


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy import ndimage

    sd = [n * BLUR_SHARE for n in values.shape]
    return np.asarray(ndimage.gaussian_filter(values, sd, mode="constant", cval=0.0, truncate=BLUR_REACH))


def donor_image(labels: Labels, donor: Donor, depth_axis: str) -> Image:
    """(C, z, y, x) float32: at every voxel the donor's value at the same relative depth in the same layer.

    The donor's column is the one at the same relative place along the other two axes, or the nearest (in parts of the
    grid) that holds the layer; of n voxels of the layer in the column, rank r (0 ...) takes the donor's voxel
    floor((2 r + 1) m / (2 n)) of its m, in whole numbers. Raises StepFailure where the donor lacks the label.
    """
    axis = AXES[depth_axis]
    own = np.moveaxis(labels, axis, 0)
    theirs = np.moveaxis(donor.labels, axis, 0)
    values = np.moveaxis(donor.image, axis + 1, 1)
    out = np.empty((len(values), *own.shape), np.float32)
    for label in range(len(REGIONS)):
        inside, held = own == label, theirs == label
        if not inside.any():
            continue
        if not held.any():
            raise StepFailure("fill_donor", f"the donor has no {REGIONS[label]}", input_at_fault=False)
        at = _nearest(held.any(axis=0), own.shape[1:])
        order = np.argsort(~held, axis=0, kind="stable")  # a column's voxels of the label first, by depth
        rank, count = np.cumsum(inside, axis=0) - 1, inside.sum(axis=0)
        d, a, b = np.nonzero(inside)
        there = at[0][a, b], at[1][a, b]
        pick = (2 * rank[d, a, b] + 1) * held.sum(axis=0)[there] // (2 * count[a, b])
        out[:, d, a, b] = values[:, order[(pick, *there)], there[0], there[1]]
    return np.ascontiguousarray(np.moveaxis(out, 1, axis + 1))


def _nearest(held: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """(2, *shape) index of the donor's column for each own column: the same relative place, else the nearest held."""
    from scipy import ndimage

    sampling = [1.0 / n for n in held.shape]
    found = ndimage.distance_transform_edt(~held, sampling=sampling, return_distances=False, return_indices=True)
    rows, columns = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(shape, held.shape, strict=True))
    return np.asarray(found)[:, rows[:, None], columns[None, :]]
