"""Packages of 2D models, packages without what they need not have, and the number that is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from layer_fast import graphs
from layer_fast.errors import ModelError
from layer_fast.models import ModelPackage, load_package

Write = Callable[..., Path]
SLICES: dict[str, Any] = {
    "spatial_dims": 2,
    "slice_axis": "z",
    "slice_pooling": "mean_logit",
    "grid": [None, 8, 4],
    "spacing_mm": [None, 1.0, 1.0],
    "fov_mm": [None, 8.0, 4.0],
}


def shape_of(info: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim)


def test_volume_model_of_a_2d_package(write_package: Write, slice_model: onnx.ModelProto) -> None:
    package = load_package(write_package(model=slice_model, **SLICES))
    assert package.volume_model is package.volume_model
    assert shape_of(package.volume_model.graph.input[0]) == ("batch", 1, "slices", 8, 4)
    assert onnx.load_model_from_string(package.volume_bytes) == package.volume_model
    assert "batch_slices" not in str(package.model.graph.input), "the verified graph stays as it is"
    cam = graphs.gradcam(package.volume_model, "logits", "features")
    assert shape_of(cam.graph.output[-1])[1:] == (8, 4)


def test_volume_model_of_a_3d_package_is_the_model(write_package: Write) -> None:
    package = load_package(write_package())
    assert package.volume_model is package.model
    assert package.volume_bytes is package.model_bytes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"grid": [None, 8, 5], "fov_mm": [None, 8.0, 5.0]},
            r"input 'image': expected shape \(batch, 1, 8, 5\), found \(batch, 1, 8, 4\)",
        ),
        ({"grid": [4, 8, 4]}, "grid: expected null on the slice axis"),
        ({"slice_axis": "y"}, "grid: expected null on the slice axis"),
        ({"fov_mm": [None, 8.0, 5.0]}, "fov_mm: 4 voxels of 1 mm along x are 4 mm, found 5"),
        ({"slice_pooling": None}, "slice_pooling: expected for a 2D classifier"),
        ({"cam_tensor": "f"}, r"expected \(batch, features, y, x\) of 'f' for Grad-CAM, found rank 2"),
    ],
)
def test_faults_of_2d_packages_are_named(
    write_package: Write, slice_model: onnx.ModelProto, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_package(write_package(model=slice_model, **(SLICES | changes)))


def test_what_no_wrapped_graph_can_be_made_of_is_named(write_package: Write, slice_model: onnx.ModelProto) -> None:
    slice_model.opset_import[0].version = 22  # runs, but has no gradient graphs yet
    folder = write_package(model=slice_model, **SLICES)
    package = load_package(folder)
    with pytest.raises(ModelError, match=rf"{folder / 'model.onnx'}: opset of the graph: expected 13 to 21, found"):
        assert package.volume_model


def test_a_classifier_may_ship_neither_fill_nor_activation(write_package: Write) -> None:
    package = load_package(write_package(fill_profile=None, logit_sd_train=None, cam_tensor=None))
    assert package.fill_profile is None and package.manifest.cam_tensor is None


def test_graphs_of_the_package_are_checked_and_let_go(write_package: Write, tiny_model: onnx.ModelProto) -> None:
    model = tiny_model
    files = {
        "cam.onnx": graphs.gradcam(model).SerializeToString(),
        "g.onnx": graphs.gradient(model).SerializeToString(),
    }
    named = {"gradcam": "cam.onnx", "gradient": "g.onnx"}
    package = load_package(write_package("good", more=files, graphs=named))
    assert package.file_bytes["cam.onnx"] == len(files["cam.onnx"])
    held = [value for value in vars(package).values() if isinstance(value, bytes)]
    assert held == [package.model_bytes], "what a run does not use is not kept in memory"
    with pytest.raises(ModelError, match=r"cam.onnx: expected an output named 'grad_image', found \['logits', 'cam'\]"):
        load_package(write_package("swapped", more=files, graphs={"gradient": "cam.onnx", "gradcam": "g.onnx"}))
    with pytest.raises(ModelError, match=r"cam.onnx: expected the inputs \['cotangent', 'image'\], found \['image'\]"):
        load_package(write_package("plain", more=files | {"cam.onnx": model.SerializeToString()}, graphs=named))
    broken = graphs.gradcam(model)
    broken.graph.node[0].domain = "com.example"
    with pytest.raises(ModelError, match=r"cam.onnx: expected operators of the domain ai.onnx only"):
        load_package(write_package("foreign", more=files | {"cam.onnx": broken.SerializeToString()}, graphs=named))


@pytest.fixture
def three(write_package: Write) -> ModelPackage:
    """A package of three classes, one against the rest. Its graph is not needed."""
    package = load_package(write_package())
    target = {"positive": "b", "negative": None}
    document = package.manifest.model_dump() | {"classes": ["a", "b", "c"], "target": target}
    manifest = type(package.manifest).model_validate(document)
    return replace(package, manifest=manifest)


def test_target_values_by_their_definition(write_package: Write, three: ModelPackage) -> None:
    two = load_package(write_package("two"))
    logits = np.array([[1.5, -0.25], [0.0, 800.0]], np.float32)
    np.testing.assert_allclose(two.target_values(logits), [-1.75, 800.0])
    np.testing.assert_allclose(two.target_values(logits), logits @ two.target_weights())
    np.testing.assert_allclose(two.target_values(logits, "logit"), [-0.25, 800.0])
    np.testing.assert_allclose(two.target_values(logits, "probability"), [1 / (1 + np.exp(1.75)), 1.0])

    logits = np.array([[[0.1, 0.7, -2.0]], [[900.0, 0.0, -900.0]]])
    chance = np.exp(logits[0]) / np.exp(logits[0]).sum()
    margins = three.target_values(logits)
    assert margins.shape == (2, 1) and margins.dtype == np.float64
    np.testing.assert_allclose(margins[0, 0], np.log(chance[0, 1] / (1 - chance[0, 1])))
    np.testing.assert_allclose(margins[1, 0], -900.0)
    np.testing.assert_allclose(three.target_values(logits, "probability")[0, 0], chance[0, 1])


def test_target_values_equal_the_graph_head(three: ModelPackage) -> None:
    """The number that is tabled and the output whose gradient is taken are the same."""
    from onnx.reference import ReferenceEvaluator

    info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["batch", 3]) for n in ("x", "logits")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["logits"])], "head", info[:1], info[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    for kind in ("margin", "logit", "probability"):
        head = graphs.with_target(model, positive=1, kind=kind)
        found = ReferenceEvaluator(head).run(["target"], {"x": -logits})[0]
        np.testing.assert_allclose(three.target_values(logits, kind), found[:, 0], rtol=1e-5)  # type: ignore[arg-type]


def test_target_refusals(three: ModelPackage) -> None:
    with pytest.raises(ModelError, match="log odds of 1 class against 2 others"):
        three.target_weights()
    with pytest.raises(ModelError, match=r"expected logits \(..., 3\), found shape \(4, 2\)"):
        three.target_values(np.zeros((4, 2)))
    with pytest.raises(ModelError, match="kind: expected margin, logit or probability, found 'odds'"):
        three.target_values(np.zeros(3), "odds")  # type: ignore[arg-type]
