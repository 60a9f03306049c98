"""Packages are verified before anything runs; every refusal names the file, the expected and the found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from layer_fast.errors import ModelError
from layer_fast.models import load_models, load_package, subject_hash

Write = Callable[..., Path]


def test_loads_and_keeps_what_was_verified(write_package: Write) -> None:
    folder = write_package()
    package = load_package(folder)
    (folder / "model.onnx").write_bytes(b"changed afterwards")
    assert package.model.graph.name == "tiny"
    assert package.fill_profile is not None and package.fill_profile.shape == (1, 7, 2)
    np.testing.assert_array_equal(package.target_weights(), [-1.0, 1.0])
    assert len(package.sha256) == 64


@pytest.mark.parametrize("file", ["model.onnx", "fill_profile.json"])
def test_one_changed_byte_is_refused(write_package: Write, file: str) -> None:
    folder = write_package()
    data = bytearray((folder / file).read_bytes())
    data[-2] ^= 1
    (folder / file).write_bytes(bytes(data))
    with pytest.raises(ModelError, match=rf"{re.escape(file)}: expected sha256 \w+, found \w+"):
        load_package(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour"),
        ({"schema_version": 2}, "schema_version"),
        ({"grid": [4, 8]}, "grid"),
        ({"grid": [4, 8, 5], "fov_mm": [4, 8, 5]}, r"input 'image': expected shape \(batch, 1, 4, 8, 5\), found"),
        ({"classes": ["a", "b", "c"]}, "target"),
        ({"target": {"positive": "case", "negative": "case"}}, "target"),
        ({"cam_tensor": "elsewhere"}, "expected a tensor named 'elsewhere'"),
        ({"cam_candidates": ["features", "nowhere"]}, "expected a tensor named 'nowhere'"),
        ({"cam_tensor": "f"}, r"expected \(batch, features, z, y, x\) of 'f' for Grad-CAM, found rank 2"),
        ({"cam_tensor": "logits"}, r"of 'logits' for Grad-CAM, found rank 2"),
        ({"cam_candidates": ["features", "logits"]}, r"of 'logits' for Grad-CAM, found rank 2"),
        ({"fov_mm": [4.0, 8.0, 4.005]}, "fov_mm: 4 voxels of 1 mm along x are 4 mm, found 4.005"),
        ({"spacing_mm": [1.0, 50.0, 1.0]}, "fov_mm: 8 voxels of 50 mm along y are 400 mm, found 8"),
        ({"fill_profile": None}, "fill_profile"),
        ({"output": "scores"}, r"expected exactly \['scores'\], found \['logits'\]"),
        ({"setup": "swe"}, "channels"),
        ({"files": {"../model.onnx": "0" * 64}}, "files"),
        ({"files": {"model.onnx": "0" * 64}}, "files"),
        ({"layer_names": ["a"] * 6}, "layer_names"),
        ({"logit_sd_train": float("nan")}, "logit_sd_train"),
        ({"channels": [{"modality": "bmode", "window": [1.0, 1.0]}]}, "lo < hi"),
        ({"role": "segmenter"}, "expected null for a segmenter"),
    ],
)
def test_manifest_faults_are_named(write_package: Write, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_package(write_package(**changes))


def test_key_given_twice_is_refused(write_package: Write) -> None:
    folder = write_package()
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"name"', '"role": "segmenter", "name"', 1))
    with pytest.raises(ModelError, match="twice"):
        load_package(folder)


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"


def _domain(model: onnx.ModelProto) -> None:
    model.graph.node[1].domain = "com.example"


def _opset_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def _loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([helper.make_node("Relu", ["c"], ["r"])], "body", [], [])
    model.graph.node[1].CopyFrom(helper.make_node("Loop", ["", "", "c"], ["features"], name="again", body=body))


def _function(model: onnx.ModelProto) -> None:
    function = helper.make_function("", "Mine", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [])
    model.functions.append(function)


def _old(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 9


def _second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1]))


def _double(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_external, "external data for 'w'"),
        (_domain, r"found 'com.example.Relu'"),
        (_opset_domain, "opset import 'com.example'"),
        (_loop, "no control flow, found node 'again' of type Loop"),
        (_function, "no local functions, found 'Mine'"),
        (_old, "opset 13 to 23, found 9"),
        (_second_input, "found \\['image', 'extra'\\]"),
        (_double, "expected float32, found DOUBLE"),
        (_fixed_batch, r"expected shape \(batch, 1, 4, 8, 4\), found \(1, 1, 4, 8, 4\)"),
    ],
)
def test_graphs_that_cannot_be_trusted_are_refused(
    write_package: Write, tiny_model: onnx.ModelProto, damage: Callable[[onnx.ModelProto], None], message: str
) -> None:
    damage(tiny_model)
    with pytest.raises(ModelError, match=message):
        load_package(write_package(model=tiny_model))


def test_bytes_that_are_no_graph(write_package: Write) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load_package(write_package(model=onnx.ModelProto()))


def test_folder_of_packages_and_exposure(write_package: Write) -> None:
    known = {"salt": "0123456789", "hashes": [subject_hash("0123456789", "anna")]}
    first = write_package("first", member="1", training_subjects=known)
    write_package("second", member="0", training_subjects=known | {"hashes": [subject_hash("0123456789", "ben")]})
    models = load_models(first.parent)
    assert [p.manifest.member for p in models.classifiers["bmode"]] == ["0", "1"]
    assert models.segmenter is None and len(models.packages) == 2
    assert models.exposure("anna") == models.exposure("ben") == "seen"
    assert models.exposure("carl") == "unseen"
    assert load_models(first).exposure("ben") == "unseen"
    write_package("third", member="2")
    assert load_models(first.parent).exposure("carl") == "unknown"


def test_same_member_twice_and_nothing_found(write_package: Write, tmp_path: Path) -> None:
    folder = write_package("first").parent
    write_package("second")
    with pytest.raises(ModelError, match="one package per member"):
        load_models(folder)
    with pytest.raises(ModelError, match="found no such folder"):
        load_models(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="found none"):
        load_models(tmp_path / "empty")


def test_fill_profile_outside_the_input_range(write_package: Write) -> None:
    import hashlib

    folder = write_package()
    raw = json.dumps({"bins": 2, "values": np.full((1, 7, 2), 1.5).tolist()}).encode()
    (folder / "fill_profile.json").write_bytes(raw)
    document = json.loads((folder / "manifest.json").read_text())
    document["files"]["fill_profile.json"] = hashlib.sha256(raw).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"fill_profile.json: expected values in \[0, 1\]"):
        load_package(folder)
