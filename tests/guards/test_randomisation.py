"""Parameter randomisation: shuffles keep the values, maps of the model change, a picture of the input does not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import layer_fast as lf
import tiny
from layer_fast.errors import ConfigError, ModelError
from layer_fast.guards import randomisation, randomised
from layer_fast.guards.package_maps import map_function
from layer_fast.guards.randomisation import rank_correlation, weights_from_top


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> lf.models.ModelPackage:
    folder: Path = tiny.write_models(tmp_path_factory.mktemp("random") / "m", ("bmode",))
    return lf.load_models(folder).classifiers["bmode"][0]


def images(count: int) -> list[np.ndarray]:
    return [(tiny.bmode(i) / 255.0).astype(np.float32)[None] for i in range(count)]


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def test_weights_are_found_from_the_output_down_without_biases(package: lf.models.ModelPackage) -> None:
    assert weights_from_top(package.model) == ("fc", "w")


def test_shuffle_keeps_the_entries_and_leaves_the_rest(package: lf.models.ModelPackage) -> None:
    before, after = weights(package.model), weights(randomised(package.model, ["w"]))
    assert not np.array_equal(before["w"], after["w"])
    assert Counter(before["w"].ravel().tolist()) == Counter(after["w"].ravel().tolist())
    assert all(np.array_equal(before[name], after[name]) for name in before if name != "w")
    assert np.array_equal(after["w"], weights(randomised(package.model, ["w"]))["w"])
    with pytest.raises(ModelError, match="'nothing'"):
        randomised(package.model, ["nothing"])


def test_gradcam_of_another_model_is_the_map_of_that_model(package: lf.models.ModelPackage) -> None:
    """map_function runs the weights it is given, not the package's own: doubled weights double the HiResCAM."""
    maps = map_function(package, images(1), method="hirescam")
    double = onnx.ModelProto()
    double.CopyFrom(package.model)
    fc = next(t for t in double.graph.initializer if t.name == "fc")
    fc.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(fc), "fc"))
    assert maps(double)[0] == pytest.approx(2 * maps(package.model)[0], rel=1e-5)


def test_map_of_the_input_fires_and_the_models_map_changes(package: lf.models.ModelPackage) -> None:
    pictures = images(2)
    found = randomisation(package.model, lambda model: [p[0] for p in pictures], stages=2)
    assert found.spearman == pytest.approx(np.ones((2, 2)))
    assert found.fires and found.statistic == pytest.approx(1.0)
    gradients = map_function(package, pictures, method="gradient")
    own = randomisation(package.model, gradients, [tiny.labels()] * 2, stages=2)
    assert own.shuffled == ("fc", "w") and own.spearman.shape == own.layer_change.shape == (2, 2)
    assert np.abs(own.spearman[-1]).max() < 0.99
    assert ((own.layer_change >= 0) & (own.layer_change <= 1)).all()


@pytest.mark.parametrize("setup", ["bmode", "swe"])
@pytest.mark.parametrize("method", ["gradcam", "gradient"])
def test_maps_of_the_reference_classifiers_depend_on_their_weights(setup: str, method: str) -> None:
    trained = lf.load_models("reference").classifiers[setup][0]
    rng = np.random.default_rng(0)
    drawn = [rng.random((1, *trained.manifest.grid)).astype(np.float32) for _ in range(2)]
    assert not randomisation(trained.model, map_function(trained, drawn, method=method), stages=1).fires


def test_constant_maps_are_left_out_and_arguments_checked(package: lf.models.ModelPackage) -> None:
    assert np.isnan(rank_correlation(np.zeros((2, 2)), np.arange(4.0).reshape(2, 2)))
    found = randomisation(package.model, lambda model: [np.zeros((2, 2, 2), np.float32)], stages=1)
    assert np.isnan(found.statistic) and not found.fires
    with pytest.raises(ValueError, match="1 masks and 2 maps"):
        randomisation(package.model, lambda model: [i[0] for i in images(2)], [tiny.labels()])
    with pytest.raises(ConfigError, match="expected one of gradcam"):
        map_function(package, images(1), method="smoothgrad")
