"""What a graph adds does not stand in an engine's way: the forward part is optimised as it is alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest

from layer_fast import graphs

pytest.importorskip("torch", reason="the networks are exported from torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
from graphs import export

HEAVY = ("Conv", "FusedConv", "MaxPool", "Relu", "Add")


def optimised(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """Operator types after ONNX Runtime's own optimisation."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def classifier(name: str) -> onnx.ModelProto:
    """A zoo network with the logits as its only output, as a user exports it."""
    model = onnx.ModelProto()
    model.CopyFrom(export.exported(name))
    del model.graph.output[1:]
    return model


@pytest.mark.parametrize("make", [graphs.gradcam, graphs.hirescam])
@pytest.mark.parametrize(
    "name", ["resnet3d_bn", "monai_resnet10", pytest.param("monai_resnet18", marks=pytest.mark.zoo)]
)
def test_a_map_leaves_the_trunk_alone(name: str, make: object, tmp_path: Path) -> None:
    """No convolution more, every fusion kept, nothing as large as the activation but its product with the weights."""
    model = classifier(name)
    activation = graphs.find_activations(model)[0]
    alone = optimised(model, tmp_path)
    mapped = optimised(make(model, activation=activation), tmp_path)  # type: ignore[operator]
    assert alone["FusedConv"] > 0, "ONNX Runtime fuses no longer what this test is about"
    assert {op: mapped[op] for op in HEAVY} == {op: alone[op] for op in HEAVY}
    assert mapped["Expand"] == 0
    assert sum(mapped.values()) - sum(alone.values()) <= 13


def test_a_gradient_keeps_convolution_and_relu_together(tmp_path: Path) -> None:
    """The backward pass of ReLU reads its output, not its input, so that the pair may be fused."""
    model = classifier("monai_resnet10")
    assert optimised(graphs.gradient(model), tmp_path)["FusedConv"] == optimised(model, tmp_path)["FusedConv"] > 0


@pytest.mark.parametrize("name", ["resnet3d_bn", "unet3d_in"])
def test_no_appended_node_is_left_unused(name: str) -> None:
    model = classifier(name)
    made = [graphs.gradient(model)]
    made += [graphs.gradcam(model), graphs.class_maps(model)] if export.zoo.ZOO[name].layer else []
    for graph in made:
        used = {i for node in graph.graph.node for i in node.input} | {o.name for o in graph.graph.output}
        assert [n.name for n in graph.graph.node if n.name.startswith("lf_") and not used.intersection(n.output)] == []
