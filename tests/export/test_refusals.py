"""What is refused, with the sentence that says why, and nothing written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export import small
from layer_fast.errors import ConfigError, LayerFastError, ModelError
from layer_fast.export import export_onnx, read_fields


def refused(tmp_path: Path, model: Any, stated: dict[str, Any], message: str, kind: type[LayerFastError]) -> None:
    with pytest.raises(kind, match=message):
        export_onnx(model, stated, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": None}, "licence: missing"),
        ({"intended_us": "x"}, "intended_us: unknown key, did you mean 'intended_use'"),
        ({"antialias": "yes"}, "antialias"),
        ({"classes": [True, False]}, "classes"),
        ({"channels": [{"modality": "bmode", "window": [5, 5]}]}, "lo < hi"),
        ({"channels": [{"modality": "swe", "window": [0, 8]}]}, "missing_value: expected a number"),
        ({"channels": [*small.fields()["channels"] * 2]}, "has 1 input channels, the fields state"),
        ({"classes": ["a", "b", "c"], "target": {"positive": "a"}}, "gives 2 logits, the fields state"),
        ({"grid": [4, 28, 9]}, "has 8 voxels along x, the fields state 9"),
        ({"spacing_mm": None}, "expected at least one of them, found neither"),
        ({"fov_mm": [6.0, 14.0, 5.0]}, r"8 voxels of 0.6 mm along x are 4.8 mm, found 5"),
        ({"slice_axis": "z"}, "is a 3D model"),
        ({"licence": "MIT\x1b[2J"}, r"licence: .*expected printable characters on one line, found '\\x1b'"),
        ({"intended_use": " \n "}, "intended_use: .*expected some text, found none"),
        ({"classes": ["a\nb", "case"]}, r"classes.0: .*one line, found '\\n'"),
        ({"target": {"positive": "\ud800"}}, r"target.positive: .*found '\\ud800'"),
        ({"role": "segmenter", "classes": None, "target": None}, "a segmenter gives"),
    ],
)
def test_fields(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    refused(tmp_path, small.classifier(), small.fields(**changes), message, ConfigError)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"setup": "swe"}, "fields: channels: setup swe expects"),
        ({"target": {"positive": "case", "negative": "nobody"}}, "target: expected different names"),
        ({"layer_names": ["a"] * 6}, "layer_names"),
        ({"target": None}, "target: expected for a classifier"),
        ({"target": {"positive": "case", "at_or_above": True}}, "at_or_above expects ordered classes"),
    ],
)
def test_what_the_manifest_refuses(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    refused(tmp_path, small.classifier(), small.fields(**changes), message, ConfigError)


def test_a_slice_model_needs_its_axis(tmp_path: Path) -> None:
    model = small.classifier(sizes=(28, 8))
    refused(tmp_path, model, small.fields(), "is a 2D model", ConfigError)
    refused(tmp_path, model, small.fields_2d(spacing_mm=[1.0, 0.5, 0.6]), "null along the slice axis z", ConfigError)
    refused(tmp_path, model, small.fields_2d(slice_pooling=None), "slice_pooling", ConfigError)


def test_several_faults_are_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fields.yaml"
    path.write_text("name: a b\nrole: oracle\ncolour: red\n")
    with pytest.raises(ConfigError) as error:
        read_fields(path)
    text = str(error.value)
    assert all(key in text for key in (str(path), "colour: unknown key", "name:", "role:", "licence: missing"))
    path.write_text("- just\n- a list\n")
    with pytest.raises(ConfigError, match="expected a mapping of names to values, found list"):
        read_fields(path)
    path.write_text("a: " + "[" * 5000)
    with pytest.raises(ConfigError, match=r"fields.yaml: expected YAML in UTF-8, found values nested too deeply"):
        read_fields(path)
    path.write_text("a: !!python/object/apply:os.system [echo]\n")
    with pytest.raises(ConfigError, match="expected YAML"):
        read_fields(path)


def test_long_texts_may_be_folded(tmp_path: Path) -> None:
    stated = small.fields(training_data="Thirty volunteers,\n  one scan\u00a0each.\n")
    package = export_onnx(small.classifier(), stated, tmp_path / "out")
    assert package.manifest.training_data == "Thirty volunteers, one scan each."


def one_number() -> onnx.ModelProto:
    return small.classifier(classes=1)


def half_precision() -> onnx.ModelProto:
    model = small.classifier()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def nan_weights() -> onnx.ModelProto:
    model = small.classifier()
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def two_inputs() -> onnx.ModelProto:
    model = small.classifier()
    model.graph.input.append(onnx.helper.make_tensor_value_info("age", TensorProto.FLOAT, ["batch", 1]))
    return model


def foreign_domain() -> onnx.ModelProto:
    model = small.classifier(extra="Relu")
    model.graph.node[2].domain = "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    return model


def test_a_slice_model_that_no_run_could_open_is_no_package(tmp_path: Path) -> None:
    """Also without a cohort, where nothing is run: opset 22 is taken, but not by the loop over slices."""
    model = small.classifier(sizes=small.GRID[1:])
    model.opset_import[0].version = 22
    refused(tmp_path, model, small.fields_2d(), "opset of the graph: expected 13 to 21, found", ModelError)
    assert list(tmp_path.iterdir()) == []


def old_opset() -> onnx.ModelProto:
    model = small.classifier()
    model.opset_import[0].version = 11
    return model


@pytest.mark.parametrize(
    ("make", "message", "kind"),
    [
        (one_number, "one logit per class.*sigmoid", ConfigError),
        (half_precision, "input 'image': expected float32, found FLOAT16", ModelError),
        (nan_weights, "weight 'w': expected finite numbers, found 27 NaN or infinite", ModelError),
        (two_inputs, r"input: expected one, found \['image', 'age'\]", ModelError),
        (foreign_domain, "domain ai.onnx only, found opset import 'com.example'", ModelError),
        (old_opset, r"expected opset \d+ to \d+, found 11", ModelError),
    ],
)
def test_graphs(tmp_path: Path, make: Any, message: str, kind: type[LayerFastError]) -> None:
    refused(tmp_path, make(), small.fields(), message, kind)


def test_external_data_beside_the_file_is_taken_in(tmp_path: Path) -> None:
    path = small.with_external_data(tmp_path / "model.onnx", "w.bin")
    package = export_onnx(path, small.fields(), tmp_path / "out")
    expected = export_onnx(small.classifier(), small.fields(), tmp_path / "plain")
    assert package.model_bytes == expected.model_bytes


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("../w.bin", {}, r"expected external data in a file beside the model, found location '\.\./w\.bin'"),
        ("sub/../../w.bin", {}, "beside the model"),
        ("/etc/passwd", {}, "beside the model"),
        ("", {}, "beside the model"),
        (".", {}, "beside the model"),
        ("absent.bin", {}, "expected a readable file, found: No such file"),
        ("link.bin", {}, "links are not followed"),
        ("pipe", {}, "expected a regular file"),
        ("w.bin", {"offset": "9999999"}, "expected 9999999 bytes|bytes in the file, found 432"),
        ("w.bin", {"offset": "-4"}, "expected a whole number as offset, found '-4'"),
        ("w.bin", {"length": "8"}, "expected 432 bytes of external data, found 8"),
    ],
)
def test_external_data_elsewhere_is_refused(
    tmp_path: Path, location: str, entries: dict[str, str], message: str
) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = small.with_external_data(folder / "model.onnx", location, **entries)
    (tmp_path / "w.bin").write_bytes((folder / "w.bin").read_bytes())
    (folder / "link.bin").symlink_to("../w.bin")
    os.mkfifo(folder / "pipe")
    refused(tmp_path, path, small.fields(), message, ModelError)


def test_external_data_in_memory_is_refused(tmp_path: Path) -> None:
    """A ModelProto has no folder, so nothing beside it can be meant."""
    path = small.with_external_data(tmp_path / "model.onnx", "w.bin")
    model = onnx.load(path, load_external_data=False)
    refused(tmp_path, model, small.fields(), "expected all weights inside the file", ModelError)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    refused(tmp_path, path, small.fields(), "expected a readable file", ModelError)
    path.write_bytes(b"not a model at all")
    refused(tmp_path, path, small.fields(), "expected an ONNX model|expected a graph with nodes", ModelError)
