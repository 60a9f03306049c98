"""Every fill against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast.errors import StepFailure
from layer_fast.steps.fills import BLUR_SHARE, blurred_image, donor_image, layer_means, shuffled_image
from layer_fast.steps.prepare import Donor

SHAPE = (3, 14, 5)


def volume(seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """image (2, z, y, x) and labels that rise along y, each column at its own pace; label 3 only in some columns."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 7, shape), axis=1).astype(np.uint8)
    labels[:, :, : shape[2] // 2][labels[:, :, : shape[2] // 2] == 3] = 4
    return rng.random((2, *shape)).astype(np.float32), labels


def test_layer_means() -> None:
    image, labels = volume(0)
    labels[labels == 5] = 6
    found = layer_means(image, labels)
    assert found.shape == (2, 7) and found.dtype == np.float32
    for k in (0, 1, 2, 3, 4, 6):
        want = image[:, labels == k].astype(float).mean(axis=1)
        np.testing.assert_allclose(found[:, k], want, atol=tolerances.FILL_ROUNDING)
    assert (found[:, 5] == 0).all()


def test_a_shuffle_keeps_a_layers_voxels_and_is_drawn_by_the_content() -> None:
    image, labels = volume(1)
    found = shuffled_image(image, labels)
    np.testing.assert_array_equal(found, shuffled_image(image.copy(), labels.copy()))
    for k in range(7):
        pairs = lambda x, k=k: sorted(map(tuple, x[:, labels == k].T))  # noqa: E731
        assert pairs(found) == pairs(image)
    assert (found != image).mean() > 0.5
    changed = image.copy()
    changed[0, 0, 0, 0] += np.float32(0.5)
    other = shuffled_image(changed, labels)
    assert (other != found).mean() > 0.3


def slow_blur(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sum over all voxels of another label, each with its Gaussian weight."""
    places = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), -1).reshape(-1, 3)
    sd = np.array(labels.shape) * BLUR_SHARE
    flat, values = labels.ravel(), image.reshape(len(image), -1).astype(float)
    out = np.empty_like(values)
    for i, place in enumerate(places):
        g = np.exp(-0.5 * (((places - place) / sd) ** 2).sum(axis=1)) * (flat != flat[i])
        out[:, i] = values @ g / g.sum()
    return out.reshape(image.shape)


def test_blur_is_the_weighted_mean_of_what_lies_outside() -> None:
    image, labels = volume(2)
    np.testing.assert_allclose(blurred_image(image, labels), slow_blur(image, labels), rtol=0, atol=1e-6)
    flat = np.full_like(image, 0.3)
    np.testing.assert_allclose(blurred_image(flat, labels), flat, atol=tolerances.FILL_ROUNDING)


def test_blur_does_not_see_the_layer() -> None:
    image, labels = volume(3)
    changed = image.copy()
    changed[:, labels == 4] = 1.0
    np.testing.assert_array_equal(blurred_image(changed, labels)[:, labels == 4],
                                  blurred_image(image, labels)[:, labels == 4])  # fmt: skip
    with pytest.raises(StepFailure, match="two regions"):
        blurred_image(image, np.zeros(SHAPE, np.uint8))


def slow_donor(labels: np.ndarray, donor: Donor) -> np.ndarray:
    """Depth is y. Of several nearest columns any will do, so their set is returned: (C, z, y, x) -> candidates."""
    nz, _, nx = labels.shape
    mz, _, mx = donor.labels.shape
    out = np.empty(labels.shape, object)
    for z, y, x in np.ndindex(*labels.shape):
        label, column = labels[z, y, x], labels[z, :, x]
        relative = (int((column[:y] == label).sum()) + 0.5) / int((column == label).sum())
        own = ((2 * z + 1) * mz // (2 * nz), (2 * x + 1) * mx // (2 * nx))
        held = [(a, b) for a in range(mz) for b in range(mx) if (donor.labels[a, :, b] == label).any()]
        far = [((a - own[0]) / mz) ** 2 + ((b - own[1]) / mx) ** 2 for a, b in held]
        near = [place for place, d in zip(held, far, strict=True) if d <= min(far) + 1e-12]
        found = []
        for a, b in near:
            depths = np.flatnonzero(donor.labels[a, :, b] == label)
            found.append(donor.image[:, a, depths[int(np.floor(relative * len(depths) + 1e-9))], b])
        out[z, y, x] = found
    return out


@pytest.mark.parametrize("shape", [SHAPE, (2, 11, 8)])
def test_donor_is_the_same_relative_place(shape: tuple[int, ...]) -> None:
    _, labels = volume(4)
    image, theirs = volume(5, shape)
    donor = Donor(image, theirs, "d")
    found, wanted = donor_image(labels, donor, "y"), slow_donor(labels, donor)
    for place in np.ndindex(*labels.shape):
        assert any((found[(slice(None), *place)] == one).all() for one in wanted[place]), place
    same = donor_image(theirs, donor, "y")
    np.testing.assert_array_equal(same, image)  # a scan is its own donor at every place


def test_a_donor_without_the_layer_fails_the_scan() -> None:
    image, labels = volume(6)
    theirs = np.where(labels == 6, 5, labels).astype(np.uint8)
    with pytest.raises(StepFailure, match="no muscle"):
        donor_image(labels, Donor(image, theirs, "d"), "y")
