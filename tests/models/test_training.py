"""The training script, whole, on a budget of seconds. The models are useless; the packages must be sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from layer_fast.models import load_models
from layer_fast.types import SETUPS

pytest.importorskip("torch")
pytest.importorskip("onnxscript")


def test_training_end_to_end(tmp_path: Path) -> None:
    from layer_fast.phantom.train.__main__ import main

    few = ["--subjects", "4", "--twins", "1", "--classifier-steps", "2", "--segmenter-steps", "2", "--cohorts", "0"]
    assert main(["--out", str(tmp_path), "--seed", "5", *few]) == 0
    models = load_models(tmp_path)
    assert models.segmenter is not None and tuple(models.classifiers) == SETUPS
    for package in models.packages:
        assert package.exposure("p77005-003") == "seen"
        assert package.exposure("p77005-004") == "unseen"
    profile = models.classifiers["both"][0].fill_profile
    assert profile is not None and profile.shape == (2, 7, 16)
