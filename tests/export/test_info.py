"""`layer-fast info` says everything of a package, and of a bare ONNX file what could become of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import tiny
from export import small
from layer_fast import graphs
from layer_fast.cli import main
from layer_fast.errors import ModelError
from layer_fast.export import export_onnx
from layer_fast.export.describe import describe_onnx


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["info", *words]) == 0
    return capsys.readouterr().out


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = tiny.write_cohort(tmp_path / "c", 4, masks=True)
    package = export_onnx(small.classifier(), small.fields(), tmp_path / "out", cohort=cohort)
    text = printed(capsys, str(tmp_path / "out"))
    for part in (
        "small  classifier, setup bmode", "grid (z, y, x): 4 x 28 x 8", "clip((v - 0) / (255 - 0), 0, 1)",
        "target: logit[case] - logit[control]", "class activation maps from: features", "training subjects: 2",
        "gradcam.onnx", package.manifest.files["model.onnx"], "parity gradient_vs_finite_differences",
        "finite differences of model.onnx", "licence: MIT", package.sha256,
    ):  # fmt: skip
        assert part in text, part
    (fields,) = json.loads(printed(capsys, str(tmp_path / "out"), "--json"))
    assert fields["training_subjects"] == 2 and fields["file_bytes"]["model.onnx"] == len(package.model_bytes)


def test_a_slice_model_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stated = small.fields_2d(target={"positive": "case"})
    export_onnx(small.classifier(sizes=small.GRID[1:]), stated, tmp_path / "out")
    text = printed(capsys, str(tmp_path / "out"))
    assert "grid (z, y, x): scan's own x 28 x 8" in text and "every slice along z is seen alone" in text
    assert "the mean of the slices' logits" in text
    assert "logit[case] - log of the summed exp(logit) of all other classes" in text
    assert "layer_shapley are refused" in text and "exposure is unknown" in text


def test_ordered_classes_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stated = small.fields(ordinal=True, target={"positive": "case", "at_or_above": True})
    package = export_onnx(small.classifier(), stated, tmp_path / "out")
    assert package.manifest.ordinal and package.manifest.target is not None and package.manifest.target.at_or_above
    text = printed(capsys, str(tmp_path / "out"))
    assert "classes: control, case, from lowest to highest" in text
    assert "target: log odds of case and above against the classes below" in text
    export_onnx(small.classifier(), small.fields(), tmp_path / "plain")
    plain = (tmp_path / "plain" / "manifest.json").read_text()
    assert "ordinal" not in plain and "at_or_above" not in plain  # as before there were ordered classes


def test_the_reference_models(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    assert text.count("classifier, setup") == 3 and text.count("segmenter, setup") == 1


def test_a_bare_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "model.onnx", small.classifier())
    text = printed(capsys, str(path))
    for part in (
        "opset: ai.onnx 18", "input image: float (batch, 1, 4, 28, 8)", "output logits: float (batch, 2)",
        "Conv 1, Flatten 1, Gemm 1", "without a gradient rule: none", "gradient: yes", "class_maps: yes",
        "activation features: (batch, 4, 4, 28, 8)", "a package can be made of it",
    ):  # fmt: skip
        assert part in text, part
    found = json.loads(printed(capsys, str(path), "--json"))
    assert found["operators"]["Relu"] == 1 and found["parameters"] == 4 * 27 + 4 + 2 * 4 + 2


def described(tmp_path: Path, model: onnx.ModelProto) -> dict[str, Any]:
    return describe_onnx(saved(tmp_path / "model.onnx", model))


def test_what_would_be_refused(tmp_path: Path) -> None:
    fold = small.classifier(extra="Hardmax")
    found = described(tmp_path, fold)
    assert found["without_gradient_rule"] == ["Hardmax"] and "no gradient rule for Hardmax" in found["gradient"]
    assert found["refused"] == []
    flat = small.classifier()
    del flat.graph.input[0].type.tensor_type.shape.dim[2:]
    (reason,) = described(tmp_path, flat)["refused"]
    assert "found 2 axes" in reason
    foreign = small.classifier()
    foreign.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    (reason,) = described(tmp_path, foreign)["refused"]
    assert "com.example" in reason


BROKEN: dict[str, tuple[str, list[str], list[str]]] = {
    "a constant without a value": ("Constant", [], ["extra"]),
    "a constant without an output": ("Constant", [], []),
    "an operator without inputs": ("Identity", [], ["extra"]),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_malformed_node_is_a_reason_not_a_traceback(fault: str, tmp_path: Path) -> None:
    kind, inputs, outputs = BROKEN[fault]
    model = small.classifier()
    model.graph.node.insert(0, onnx.helper.make_node(kind, inputs, outputs, name="odd"))
    found = described(tmp_path, model)
    assert found["refused"] and "not valid ONNX" in found["refused"][0] and kind in found["refused"][0]
    for make in (graphs.find_activations, graphs.gradient, graphs.gradcam):
        with pytest.raises(ModelError, match="not valid ONNX"):
            make(model)


def test_a_last_node_without_inputs_is_refused(tmp_path: Path) -> None:
    model = small.classifier()
    del model.graph.node[-1].input[:]
    model.graph.node[-1].op_type = "Identity"
    assert "not valid ONNX" in described(tmp_path, model)["refused"][0]


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "absent.onnx")]) == 1
    (tmp_path / "odd.onnx").write_bytes(b"\x00\x01")
    assert main(["info", str(tmp_path / "odd.onnx")]) == 1
    assert "expected" in capsys.readouterr().err
