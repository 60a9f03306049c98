"""What `info` says of files that no package can be made of, where an export refuses them too: a sentence each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import small
from layer_fast.cli import main
from layer_fast.errors import LayerFastError
from layer_fast.export import export_onnx
from layer_fast.export.describe import describe_onnx

node = helper.make_node
FIELDS = small.fields(grid=list(small.GRID))


def network(*nodes: onnx.NodeProto, **ints: Any) -> onnx.ModelProto:
    """image -> the nodes -> x -> mean -> logits."""
    tensors = [numpy_helper.from_array(np.ones((1, 2), np.float32), "fc")]
    tensors += [numpy_helper.from_array(np.array(v), k) for k, v in ints.items()]
    head = [node("ReduceMean", ["x", "axes"], ["m"], keepdims=0), node("MatMul", ["m", "fc"], ["logits"])]
    tensors.append(numpy_helper.from_array(np.array([2, 3, 4]), "axes"))
    return small.model([*nodes, *head], tensors, ["n", 1, *small.GRID], ["n", 2])


SUM = [node("ReduceSum", ["big"], ["s"], keepdims=0), node("Add", ["image", "s"], ["x"])]
HOSTILE = {
    "unknown": network(node("FooBar", ["image"], ["x"])),
    "double": network(node("Relu", ["image"], ["x"]), node("Neg", ["image"], ["x"])),
    "random": network(node("RandomNormalLike", ["image"], ["r"]), node("Add", ["image", "r"], ["x"])),
    "giant": network(node("ConstantOfShape", ["to"], ["big"]), *SUM, to=[1 << 36]),
    "tile": network(node("Tile", ["one", "to"], ["big"]), *SUM, to=[1 << 36], one=np.ones(1, np.float32)),
    "expand": network(
        node("Expand", ["image", "to"], ["big"]), node("ReduceMean", ["big", "first"], ["s"]),
        node("Add", ["image", "s"], ["x"]), to=[1 << 28, 1, *small.GRID], first=[0],
    ),
    "one number": small.classifier(classes=1),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_info_and_export_agree(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(HOSTILE[name].SerializeToString())
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "no package can be made of it: " in text and "a package can be made of it: layer" not in text
    if name not in ("giant", "tile", "expand"):  # an export finds these out by running them
        with pytest.raises(LayerFastError):
            export_onnx(path, FIELDS, tmp_path / "out")


@pytest.mark.parametrize("name", ["giant", "tile", "expand"])
def test_an_absurd_size_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(HOSTILE[name].SerializeToString())
    (reason,) = describe_onnx(path)["refused"]
    assert "tensor 'big': expected at most" in reason


def test_external_data_of_a_constant_node(tmp_path: Path) -> None:
    """onnx itself would look for the file; what check_graph refuses is not read."""
    tensor = TensorProto(name="fc", data_type=TensorProto.FLOAT, dims=[1, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    model = network(node("Constant", [], ["fc"], value=tensor), node("Relu", ["image"], ["x"]))
    del model.graph.initializer[0]
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    found = describe_onnx(path)
    (reason,) = found["refused"]
    assert "external data" in reason and found["gradient"] == found["gradcam"] == reason


@pytest.mark.parametrize("axis", [1, -4])
def test_a_softmax_at_the_end_of_a_segmenter(axis: int, tmp_path: Path) -> None:
    """dim=1 and dim=-4 of (batch, layers, z, y, x) are the same axis."""
    stated = small.fields(role="segmenter", classes=None, target=None)
    package = export_onnx(softmaxed(axis), stated, tmp_path / "out")
    graph = onnx.load_model_from_string(package.model_bytes).graph
    assert "Softmax" not in {found.op_type for found in graph.node}


@pytest.mark.parametrize("axis", [-1, 2, -3])
def test_a_softmax_over_space_stays_refused(axis: int, tmp_path: Path) -> None:
    stated = small.fields(role="segmenter", classes=None, target=None)
    with pytest.raises(LayerFastError, match="expected logits"):
        export_onnx(softmaxed(axis), stated, tmp_path / "out")


def softmaxed(axis: int) -> onnx.ModelProto:
    model = small.segmenter()
    model.graph.node[-1].output[0] = "inner"
    model.graph.node.append(node("Softmax", ["inner"], ["logits"], axis=axis))
    return model
