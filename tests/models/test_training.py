"""The training script, whole, on a budget of seconds. The models are useless; the packages must be sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tolerances
from layer_fast.models import load_models
from layer_fast.types import SETUPS

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

FEW = ["--subjects", "4", "--twins", "1", "--classifier-steps", "2", "--segmenter-steps", "2", "--cohorts", "0"]


def test_training_end_to_end(tmp_path: Path) -> None:
    from layer_fast.phantom.train.__main__ import main

    assert main(["--out", str(tmp_path), "--seed", "5", *FEW]) == 0
    models = load_models(tmp_path)
    assert models.segmenter is not None and tuple(models.classifiers) == SETUPS
    for package in models.packages:
        assert package.exposure("p77005-003") == "seen"
        assert package.exposure("p77005-004") == "unseen"
    profile = models.classifiers["both"][0].fill_profile
    assert profile is not None and profile.shape == (2, 7, 16)


def test_training_of_slice_models(tmp_path: Path) -> None:
    from layer_fast.phantom.train.__main__ import main

    assert main(["--out", str(tmp_path), "--spatial-dims", "2", "--seed", "5", *FEW]) == 0
    models = load_models(tmp_path)
    assert models.segmenter is not None and tuple(models.classifiers) == ("bmode",)
    package = models.classifiers["bmode"][0]
    assert package.manifest.grid == [None, 160, 32] and package.manifest.slice_pooling == "mean_logit"
    assert package.fill_profile is not None and package.fill_profile.shape == (1, 7, 16)
    assert package.exposure("p77005-003") == "seen"


def test_what_trains_on_volumes_is_what_runs_over_slices() -> None:
    """The mean over all slices' features and then the Linear, as trained, is the wrapped graph with mean_logit."""
    import onnxruntime
    import torch

    from layer_fast.graphs import over_slices
    from layer_fast.phantom.train.export import to_onnx
    from layer_fast.phantom.train.networks import Classifier, Segmenter, over_volume, spatial_mean

    torch.manual_seed(3)
    volume = torch.rand(2, 1, 3, 16, 16)
    classifier, segmenter = Classifier(1, dims=2).eval(), Segmenter(dims=2).eval()
    with torch.no_grad():
        trained = {
            "classifier": classifier.linear(spatial_mean(over_volume(2, classifier.features, volume))),
            "segmenter": over_volume(2, segmenter, volume),
        }
    for role, net in (("classifier", classifier), ("segmenter", segmenter)):
        model = over_slices(to_onnx(net, (1, 16, 16)), role=role)  # type: ignore[arg-type]
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(["logits"], {"image": volume.numpy()})[0]
        gap = np.linalg.norm(found - trained[role].numpy()) / np.linalg.norm(found)
        assert gap < tolerances.NET_FORWARD, role
