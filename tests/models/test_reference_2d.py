"""The shipped 2D packages: they load, are small, and do on held-out phantoms what their card says (a smoke test)."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast.graphs import gradcam
from layer_fast.models import Models, load_models
from layer_fast.phantom import Effect, plan_cohort, render
from layer_fast.phantom.train.data import both_images, grid_labels, model_image
from layer_fast.phantom.train.reading import Reader, SegmenterReader, auc
from layer_fast.types import LAYERS

SEED = 90220  # neither a training seed nor one of the card
SLICES = 8  # fewer than in training: the number is the scan's own
GRID = (SLICES, 160, 32)


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("reference_2d")


@pytest.fixture(scope="module")
def scans() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(control image, muscle-planted image, labels) of three subjects."""
    effects, out = (Effect("muscle", "bmode", "mean", 6.0),), []
    for spec in plan_cohort(subjects=3, scans_per_subject=1, seed=SEED, effects=effects, shape=(SLICES, 160, 64)):
        control, case = render(spec.twin(is_case=False)), render(spec.twin(is_case=True))
        out.append((both_images(control, GRID), both_images(case, GRID), grid_labels(control.labels, GRID)))
    return out


def test_both_are_there_and_small(models: Models) -> None:
    assert models.segmenter is not None and tuple(models.classifiers) == ("bmode",)
    for package in models.packages:
        manifest = package.manifest
        assert (manifest.spatial_dims, manifest.slice_axis, manifest.depth_axis) == (2, "z", "y")
        assert manifest.grid_for((SLICES, 999, 999))[0] == SLICES
        assert len(package.model_bytes) < 300_000
        assert not any(trace in package.model_bytes for trace in (b"/home", b"/tmp", b"/work", b"site-packages"))
        assert manifest.card, f"{package.path}: no model card"


def test_gradcam_of_all_slices_sums_to_the_margin(models: Models, scans: list) -> None:
    """Features end in a mean and one Linear, and each slice's map holds its 1/n: the maps add up to the margin."""
    import onnxruntime

    package = models.classifiers["bmode"][0]
    cam = gradcam(package.volume_model, "logits", "features")
    session = onnxruntime.InferenceSession(cam.SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.stack([scans[0][0][:1], scans[0][1][:1], np.zeros_like(scans[0][0][:1])])
    cotangent = np.tile(package.target_weights(), (3, 1))
    logits, maps = session.run(["logits", "cam"], {"image": images, "cotangent": cotangent})
    assert maps.shape == (3 * SLICES, 40, 4)
    rest = package.target_values(logits) - maps.reshape(3, -1).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=tolerances.GRADCAM_COMPLETENESS)


def test_segmenter_finds_the_layers(models: Models) -> None:
    assert models.segmenter is not None
    reader, dice = SegmenterReader(models.segmenter), []
    for spec in plan_cohort(subjects=3, scans_per_subject=1, seed=SEED + 1, shape=(SLICES, 160, 64)):
        scan = render(spec)
        found = reader.labels(model_image(scan.bmode, "bmode", spec.shape), spec.shape)
        pairs = [(found == k, scan.labels == k) for k in range(1, 7)]
        dice.append([2 * np.sum(a & b) / (np.sum(a) + np.sum(b)) for a, b in pairs])
    worst = dict(zip(LAYERS, np.min(dice, axis=0), strict=True))
    for name, floor in tolerances.REFERENCE_DICE.items():
        assert worst[name] >= floor, f"{name}: {worst[name]:.3f}"


def test_twins_are_told_apart_in_the_planted_layer(models: Models, scans: list) -> None:
    reader = Reader(models.classifiers["bmode"][0])
    controls, cases = [reader.margin(c) for c, _, _ in scans], [reader.margin(c) for _, c, _ in scans]
    assert auc(cases, controls) >= tolerances.REFERENCE_SMOKE_AUC
    control, case, labels = scans[0]
    contrast = reader.read(case, labels).shapley - reader.read(control, labels).shapley
    assert contrast.argmax() == 6


def test_training_subjects_are_seen_and_held_out_ones_are_not(models: Models) -> None:
    assert models.exposure("p77000-000") == "seen"
    assert models.exposure(f"p{SEED}-000") == "unseen"
