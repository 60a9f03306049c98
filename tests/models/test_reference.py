"""The shipped packages: they load, are small, and do on held-out phantoms what their card says (a smoke test of it)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import tolerances
from layer_fast.graphs import gradcam
from layer_fast.models import Models, load_models
from layer_fast.phantom import Effect, plan_cohort, render
from layer_fast.phantom.train.data import SEGMENTER_GRID, both_images, grid_labels, model_image
from layer_fast.phantom.train.reading import Reader, SegmenterReader, auc
from layer_fast.types import LAYERS, SETUPS

SEED = 90210  # neither a training seed nor one of the card


@pytest.fixture(scope="module")
def models() -> Models:
    return load_models("reference")


@pytest.fixture(scope="module")
def scans() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(control image, muscle-planted image, labels) of four subjects."""
    effects = (Effect("muscle", "bmode", "mean", 6.0), Effect("muscle", "swe", "mean", 0.4))
    out = []
    for spec in plan_cohort(subjects=4, scans_per_subject=1, seed=SEED, effects=effects):
        control, case = render(spec.twin(is_case=False)), render(spec.twin(is_case=True))
        out.append((both_images(control), both_images(case), grid_labels(control.labels)))
    return out


def test_all_are_there_and_small(models: Models) -> None:
    assert models.segmenter is not None and tuple(models.classifiers) == SETUPS
    assert sum(len(p.model_bytes) for p in models.packages) < 4_000_000
    for package in models.packages:
        text = package.model_bytes
        assert not any(trace in text for trace in (b"/home", b"/tmp", b"/work", b"site-packages", b".py"))
        assert package.manifest.card, f"{package.path}: no model card"


def conv_macs(model: onnx.ModelProto) -> int:
    """Multiply-adds of the convolutions for one image."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.graph.value_info}
    weights = {w.name: list(w.dims) for w in model.graph.initializer}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    return sum(int(np.prod(shapes[n.output[0]][1:]) * np.prod(weights[n.input[1]][1:])) for n in convs)


@pytest.mark.parametrize("setup", SETUPS)
def test_classifiers_are_cheap(models: Models, setup: str) -> None:
    assert 2 * conv_macs(models.classifiers[setup][0].model) < 60e6  # FLOP; the limit of the issue is 1e9


@pytest.mark.parametrize("setup", SETUPS)
def test_gradcam_sums_to_the_margin(models: Models, setup: str, scans: list) -> None:
    """Features end in a mean and one Linear, so the mean of the signed map is the margin less the bias."""
    import onnxruntime

    package = models.classifiers[setup][0]
    cam = gradcam(package.model, "logits", "features")
    session = onnxruntime.InferenceSession(cam.SerializeToString(), providers=["CPUExecutionProvider"])
    channels = [("bmode", "swe").index(c.modality) for c in package.manifest.channels]
    images = np.stack([scans[0][0][channels], scans[0][1][channels], np.zeros_like(scans[0][0][channels])])
    cotangent = np.tile(package.target_weights(), (3, 1))
    logits, maps = session.run(["logits", "cam"], {"image": images, "cotangent": cotangent})
    margin, mean = logits @ package.target_weights(), maps.mean(axis=(1, 2, 3)) * np.prod(maps.shape[1:])
    bias = (margin - mean)[0]
    np.testing.assert_allclose(margin - mean, bias, atol=tolerances.GRADCAM_COMPLETENESS)


def test_segmenter_finds_the_layers(models: Models) -> None:
    assert models.segmenter is not None
    reader = SegmenterReader(models.segmenter)
    dice = []
    for spec in plan_cohort(subjects=3, scans_per_subject=1, seed=SEED + 1, effects=(Effect("muscle", size=6.0),)):
        scan = render(replace(spec, subject=replace(spec.subject, is_case=True)))
        found = reader.labels(model_image(scan.bmode, "bmode", SEGMENTER_GRID), spec.shape)
        pairs = [(found == k, scan.labels == k) for k in range(1, 7)]
        dice.append([2 * np.sum(a & b) / (np.sum(a) + np.sum(b)) for a, b in pairs])
    worst = dict(zip(LAYERS, np.min(dice, axis=0), strict=True))
    for name, floor in tolerances.REFERENCE_DICE.items():
        assert worst[name] >= floor, f"{name}: {worst[name]:.3f}"


@pytest.mark.parametrize("setup", SETUPS)
def test_twins_are_told_apart_in_the_planted_layer(models: Models, setup: str, scans: list) -> None:
    reader = Reader(models.classifiers[setup][0])
    controls, cases = [reader.margin(c) for c, _, _ in scans], [reader.margin(c) for _, c, _ in scans]
    assert auc(cases, controls) >= tolerances.REFERENCE_SMOKE_AUC
    readings = [(reader.read(case, labels), reader.read(control, labels)) for control, case, labels in scans[:2]]
    contrast = np.mean([a.shapley - b.shapley for a, b in readings], axis=0)
    assert contrast.argmax() == 6
    for case, _ in readings:
        empty = case.margin - case.shapley.sum()  # what is left is the margin of the empty coalition
        assert np.isfinite(empty)


def test_training_subjects_are_seen_and_held_out_ones_are_not(models: Models) -> None:
    assert models.exposure("p77000-000") == "seen"
    assert models.exposure("p00000-000") == models.exposure(f"p{SEED}-000") == "unseen"
