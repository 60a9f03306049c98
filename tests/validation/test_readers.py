"""The networks made by hand read one layer and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from layer_fast.types import LAYERS, REGIONS, SETUP_CHANNELS
from layer_fast.validation import light, readers, scoring, tool
from layer_fast.validation.packages import package

COHORT = light.draw(light.Design(style="coded"), 4, 77)


def margins(kind: str, layer: str, setup: str, images: np.ndarray) -> np.ndarray:
    from layer_fast.engines import open_engine

    model = readers.reader(kind, layer, setup).SerializeToString()
    (logits,) = open_engine("onnxruntime", model, threads=1, label=kind).run({"image": images}, ("logits",))
    assert (logits[:, 0] == 0).all()
    return logits[:, 1]


def images_of(setup: str) -> np.ndarray:
    blank = np.full((len(SETUP_CHANNELS[setup]), 7, 4), 0.5)
    made = package(readers.reader("mean", "muscle", setup), "r", setup, blank, logit_sd=1.0, seen=["a"])
    return scoring.model_images(COHORT, made)


@pytest.mark.parametrize("setup", ["bmode", "both"])
@pytest.mark.parametrize("kind", readers.KINDS)
def test_the_reading_is_that_of_the_true_labels(kind: str, setup: str) -> None:
    images = images_of(setup)
    for layer in LAYERS:
        found = margins(kind, layer, setup, images)
        expected = [readers.expected_reading(kind, i, m, layer) for i, m in zip(images, COHORT.labels, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=tool.AGREEMENT)
        assert np.ptp(found) > 0


@pytest.mark.parametrize("kind", readers.KINDS)
def test_no_other_layer_enters_not_even_in_the_last_bit(kind: str) -> None:
    images = images_of("both")
    for k, layer in enumerate(LAYERS, 1):
        before = margins(kind, layer, "both", images)
        other, own = images.copy(), images.copy()
        for image, changed, touched in zip(images, other, own, strict=True):
            labels = COHORT.labels[np.flatnonzero([(i is image) or (i == image).all() for i in images])[0]]
            jitter = np.where(np.arange(image[0].size).reshape(image[0].shape) % 2, 0.004, -0.003)
            changed += np.where(labels == k, 0.0, jitter).astype(np.float32)
            touched += np.where(labels == k, jitter, 0.0).astype(np.float32)
        np.testing.assert_array_equal(margins(kind, layer, "both", other), before)
        assert (margins(kind, layer, "both", own) == before).all() == (kind == "geometry")


def test_every_layer_keeps_to_its_code() -> None:
    for modality in light.MODALITIES:
        low, high = light.WINDOWS[modality]
        x = (COHORT.volumes[modality].astype(np.float64) - low) / (high - low)
        for k in range(len(REGIONS)):
            inside = x[COHORT.labels == k]
            assert inside.size and readers.bounds(k)[0] + 0.005 < inside.min()
            assert inside.max() < readers.bounds(k)[1] - 0.005


def test_an_unknown_reader_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of mean, texture, geometry"):
        readers.reader("median", "muscle", "bmode")
