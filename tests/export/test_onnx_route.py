"""From ONNX files to packages: what is found, what is made, what is checked."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import tolerances
from export import small
from graphs import single
from layer_fast.errors import ConfigError, ModelError
from layer_fast.export import export_onnx
from layer_fast.models import ModelPackage, load_package


def export(model: onnx.ModelProto, out: Path, fields: dict[str, Any] | None = None, **options: Any) -> ModelPackage:
    return export_onnx(model, fields or small.fields(), out, **options)


def session(package: ModelPackage, name: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession((package.path / name).read_bytes(), providers=["CPUExecutionProvider"])


def test_everything_is_found_made_and_hashed(tmp_path: Path) -> None:
    said: list[str] = []
    package = export(small.classifier(), tmp_path / "new" / "out", say=said.append)
    manifest = package.manifest
    assert (manifest.input, manifest.output, manifest.spatial_dims) == ("image", "logits", 3)
    assert tuple(manifest.grid) == small.GRID and manifest.fov_mm == [6.0, 14.0, 4.8]
    assert manifest.cam_tensor == "features" and manifest.cam_candidates[0] == "features"
    assert manifest.graphs == {kind: f"{kind}.onnx" for kind in ("gradient", "gradcam", "hirescam")}
    for name, digest in manifest.files.items():
        assert hashlib.sha256((package.path / name).read_bytes()).hexdigest() == digest
    assert manifest.fill_profile is None and manifest.logit_sd_train is None
    assert manifest.parity["gradient_vs_finite_differences"].value < tolerances.EXPORT_DIFFERENCES
    text = "\n".join(said)
    assert "'features'" in text and "layer_shapley will be refused" in text and "unknown" in text


def test_the_shipped_graphs_are_those_of_the_model(tmp_path: Path) -> None:
    package = export(small.classifier(), tmp_path / "out")
    image = np.random.default_rng(0).random((3, 1, *small.GRID), np.float32)
    cotangent = np.tile(np.float32([-1, 1]), (3, 1))
    feeds = {"image": image, "cotangent": cotangent}
    logits, cam = session(package, "gradcam.onnx").run(["logits", "cam"], feeds)
    (plain,) = session(package, "model.onnx").run(["logits"], {"image": image})
    np.testing.assert_allclose(logits, plain, rtol=tolerances.ENGINE_RTOL, atol=tolerances.ENGINE_ATOL)
    # The head is a mean and one linear layer, so the map adds up to the margin without its bias.
    bias = next(onnx.numpy_helper.to_array(t) for t in package.model.graph.initializer if t.name == "fb")
    margin = plain[:, 1] - plain[:, 0] - (bias[1] - bias[0])
    np.testing.assert_allclose(cam.sum((1, 2, 3)), margin, rtol=tolerances.GRADCAM_COMPLETENESS)
    assert session(package, "gradient.onnx").run(["grad_image"], feeds)[0].shape == image.shape


@pytest.mark.parametrize("pooling", ["mean_logit", "max_logit", "mean_probability"])
def test_a_slice_model(tmp_path: Path, pooling: str) -> None:
    model = small.classifier(sizes=small.GRID[1:])
    package = export(model, tmp_path / "out", small.fields_2d(slice_pooling=pooling))
    assert package.manifest.spatial_dims == 2 and package.manifest.grid == [None, *small.GRID[1:]]
    image = np.random.default_rng(0).random((1, 1, *small.GRID), np.float32)
    assert package.manifest.slice_pooling == pooling
    volume = onnxruntime.InferenceSession(package.volume_bytes, providers=["CPUExecutionProvider"])
    (found,) = volume.run(["logits"], {"image": image})
    (slices,) = single.session(model).run(["logits"], {"image": image[0].swapaxes(0, 1)})
    expected = single.pooled(slices[None], pooling)
    np.testing.assert_allclose(found, expected, rtol=tolerances.ENGINE_RTOL, atol=tolerances.ENGINE_ATOL)


def test_a_segmenter_has_no_class_maps(tmp_path: Path) -> None:
    stated = small.fields(role="segmenter", classes=None, target=None)
    package = export(small.segmenter(), tmp_path / "out", stated, graphs=["gradient"])
    assert package.manifest.cam_tensor is None and set(package.manifest.graphs) == {"gradient"}
    with pytest.raises(ConfigError, match="gradcam explains a classifier"):
        export(small.segmenter(), tmp_path / "two", stated, graphs=["gradcam"])


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_opened(tmp_path: Path, batch: int) -> None:
    said: list[str] = []
    package = export(small.classifier(batch=batch), tmp_path / "out", say=said.append)
    assert any(f"opened the fixed batch of {batch} and 1 Reshape(s)" in line for line in said)
    image = np.random.default_rng(0).random((5, 1, *small.GRID), np.float32)
    together = session(package, "model.onnx").run(None, {"image": image})[0]
    fixed = onnxruntime.InferenceSession(
        small.classifier(batch=batch).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    first = fixed.run(None, {"image": image[:batch]})[0]
    np.testing.assert_allclose(together[:batch], first, rtol=tolerances.ENGINE_RTOL, atol=tolerances.ENGINE_ATOL)


def test_a_batch_that_mixes_its_items_is_refused(tmp_path: Path) -> None:
    for batch in ("batch", 1):
        model = small.classifier(batch=batch)
        model.graph.node[-1].output[0] = "own"
        mean = onnx.helper.make_node("ReduceMean", ["own", "axis"], ["mean"], keepdims=1)
        model.graph.node.extend([mean, onnx.helper.make_node("Sub", ["own", "mean"], ["logits"])])
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "axis"))
        with pytest.raises(ModelError, match=r"batch of two to give what each|opening it changes the graph"):
            export(model, tmp_path / str(batch))


def ending(op_type: str, **attributes: Any) -> onnx.ModelProto:
    model = small.classifier()
    model.graph.node[-1].output[0] = "own"
    model.graph.node.append(onnx.helper.make_node(op_type, ["own"], ["logits"], name="last", **attributes))
    return model


def test_a_final_softmax_is_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    package = export(ending("Softmax", axis=1), tmp_path / "out", say=said.append)
    image = np.random.default_rng(0).random((2, 1, *small.GRID), np.float32)
    plain = export(small.classifier(), tmp_path / "plain")
    found, expected = (session(p, "model.onnx").run(None, {"image": image})[0] for p in (package, plain))
    np.testing.assert_array_equal(found, expected)
    assert any("left out the Softmax" in line for line in said)
    with pytest.raises(ModelError, match=r"expected logits, found that node 'last' \(Sigmoid\) ends the graph"):
        export(ending("Sigmoid"), tmp_path / "two")
    with pytest.raises(ModelError, match="expected logits"):
        export(ending("Softmax", axis=0), tmp_path / "two")


def test_a_final_softmax_over_the_last_axis_is_left_out_where_no_shape_is_stated(tmp_path: Path) -> None:
    model = ending("Softmax", axis=-1)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert "Softmax" not in {node.op_type for node in export(model, tmp_path / "out").model.graph.node}


def test_a_softmax_over_space_in_front_of_a_flatten_stays_refused(tmp_path: Path) -> None:
    """Axis -1 of (batch, classes, 1, 1, 1) is not the classes, though it is of what Flatten makes of it."""
    model = ending("Flatten")
    shape = onnx.numpy_helper.from_array(np.array([-1, 2, 1, 1, 1]), "five")
    model.graph.initializer.append(shape)
    own = model.graph.node[-1].input[0]
    model.graph.node.insert(len(model.graph.node) - 1, onnx.helper.make_node("Reshape", [own, "five"], ["map"]))
    model.graph.node.insert(len(model.graph.node) - 1, onnx.helper.make_node("Softmax", ["map"], ["soft"], axis=-1))
    model.graph.node[-1].input[0] = "soft"
    with pytest.raises(ModelError, match="expected logits"):
        export(model, tmp_path / "out")


def test_open_sizes_take_the_stated_grid(tmp_path: Path) -> None:
    model = small.classifier(sizes=("d", "h", "w"))
    with pytest.raises(ConfigError, match="leaves its size along z open; state it"):
        export(model, tmp_path / "out")
    package = export(model, tmp_path / "out", small.fields(grid=[2, 6, 4]))
    assert package.manifest.grid == [2, 6, 4]


def test_activation_by_name_and_graphs_by_kind(tmp_path: Path) -> None:
    package = export(small.classifier(), tmp_path / "out", activation="conv", graphs=["gradcam"])
    assert package.manifest.cam_tensor == "conv" and set(package.manifest.graphs) == {"gradcam"}
    with pytest.raises(ConfigError, match=r"no tensor 'elsewhere' of 5 axes.*candidates: features, conv"):
        export(small.classifier(), tmp_path / "two", activation="elsewhere")
    with pytest.raises(ConfigError, match="gradcam, hirescam, found 'lime'"):
        export(small.classifier(), tmp_path / "two", graphs=["lime"])


def test_an_operator_without_rule_costs_only_its_graph(tmp_path: Path) -> None:
    model = small.classifier()
    mod = onnx.helper.make_node("Mod", ["image", "one"], ["folded"], fmod=1, name="fold")
    model.graph.node.insert(0, mod)
    model.graph.node[1].input[0] = "folded"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(2), "one"))
    said: list[str] = []
    package = export(model, tmp_path / "out", say=said.append)
    assert set(package.manifest.graphs) == {"gradcam", "hirescam"}
    assert any("graph gradient left out: no gradient rule for Mod (node 'fold')" in line for line in said)
    with pytest.raises(ModelError, match="graph gradient: no gradient rule for Mod"):
        export(model, tmp_path / "two", graphs=["gradient"])
    assert not (tmp_path / "two").exists()


def test_an_opset_without_gradients_gives_a_package_without_maps(tmp_path: Path) -> None:
    model = small.classifier()
    model.opset_import[0].version = 22
    said: list[str] = []
    package = export(model, tmp_path / "out", say=said.append)
    assert package.manifest.cam_tensor is None and package.manifest.graphs == {} and package.manifest.parity == {}
    assert any("graph gradcam left out" in line for line in said)
    with pytest.raises(ModelError, match="expected 13 to 21, found"):
        export(model, tmp_path / "two", activation="features")


def test_a_wrong_gradient_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that forgets its mask is off by little in size, but not by little in slope."""
    from layer_fast.graphs.rules import RULES

    monkeypatch.setitem(RULES, "Relu", lambda b, n, dy: [dy])
    with pytest.raises(ModelError, match="expected the slopes that finite differences of the model show"):
        export(small.classifier(), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_traces_and_dead_parts_are_left_out(tmp_path: Path) -> None:
    model = small.classifier()
    model.graph.node[0].doc_string = "made by someone in some folder"
    model.metadata_props.add(key="path", value="/somewhere/secret")
    model.graph.node.append(onnx.helper.make_node("Exp", ["logits"], ["odds"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("odds", onnx.TensorProto.FLOAT, ["batch", 2]))
    with pytest.raises(ModelError, match=r"output: expected one, found \['logits', 'odds'\]"):
        export(model, tmp_path / "out")
    package = export(model, tmp_path / "out", small.fields(output="logits"))
    assert b"secret" not in package.model_bytes and b"someone" not in package.model_bytes
    assert "Exp" not in {node.op_type for node in package.model.graph.node}


def test_no_half_written_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        export(small.classifier(), out)
    assert (out / "mine").read_text() == "kept"

    def fails(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk is full"):
        export(small.classifier(), tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_the_same_export_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(small.classifier(), tmp_path / name)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("a", "b")]
    assert files[0] == files[1]
    assert json.loads(files[0]["manifest.json"])["name"] == load_package(tmp_path / "a").manifest.name
