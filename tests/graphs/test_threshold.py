"""The log odds at or above a level through a small network: gradient and Grad-CAM against Captum in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tolerances
from graphs.single import relative, run
from layer_fast import graphs
from layer_fast.errors import ModelError

torch = pytest.importorskip("torch", reason="Captum needs torch")
attr = pytest.importorskip("captum.attr", reason="Captum is not installed")

LEVELS, FROM, SHAPE = 4, 2, (5, 6, 7)
R = np.random.default_rng(12)
WEIGHTS = {
    "w": R.normal(0, 0.4, (3, 1, 3, 3, 3)), "b": R.normal(0, 0.1, 3),
    "fc": R.normal(0, 2, (LEVELS, 3)), "fb": R.normal(0, 1, LEVELS),
}  # fmt: skip


def network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["conv"], pads=[1] * 6),
        helper.make_node("Tanh", ["conv"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc", "fb"], ["logits"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 1, *SHAPE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", LEVELS])
    weights = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in WEIGHTS.items()]
    graph = helper.make_graph(nodes, "levels", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


class Odds(torch.nn.Module):
    """The same network in torch, float64, with the log odds at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = torch.nn.Conv3d(1, 3, 3, padding=1), torch.nn.Tanh()
        self.fc = torch.nn.Linear(3, LEVELS)
        self.double()
        parts = {"w": self.conv.weight, "b": self.conv.bias, "fc": self.fc.weight, "fb": self.fc.bias}
        for name, part in parts.items():
            part.data = torch.from_numpy(WEIGHTS[name].astype(np.float32)).double()

    def forward(self, image: Any) -> Any:
        logits = self.fc(self.act(self.conv(image)).mean(dim=(2, 3, 4)))
        return torch.logsumexp(logits[:, FROM:], 1) - torch.logsumexp(logits[:, :FROM], 1)


@pytest.mark.parametrize("method", ["gradient", "gradcam"])
def test_maps_agree_with_captum(method: str) -> None:
    x = R.standard_normal((2, 1, *SHAPE)).astype(np.float32)
    headed = graphs.with_target(network(), positive=range(FROM, LEVELS))
    graph = graphs.gradient(headed, "target") if method == "gradient" else graphs.gradcam(headed, "target", "features")
    found = run(graph, image=x, cotangent=np.ones((2, 1), np.float32))
    net, batch = Odds(), torch.from_numpy(x).double().requires_grad_()
    if method == "gradient":
        ours, theirs = found["grad_image"], attr.Saliency(net).attribute(batch, abs=False)
    else:
        ours, theirs = found["cam"], attr.LayerGradCam(net, net.act).attribute(batch, relu_attributions=False)[:, 0]
    assert relative(found["target"][:, 0], net(batch).detach().numpy()) < tolerances.NET_FORWARD
    assert relative(ours.reshape(theirs.shape), theirs.detach().numpy()) < tolerances.NET_SMOOTH


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"positive": [2, 3], "kind": "logit"}, "margin or probability of several classes"),
        ({"positive": [2, 3], "negative": 0}, "margin or probability of several classes"),
        ({"positive": [2, 3], "negative": 3}, "another class than positive"),
        ({"positive": [2, 4]}, "expected a class 0..3, found 4"),
        ({"positive": [2, 2]}, "1 to 3 different classes"),
        ({"positive": []}, "1 to 3 different classes"),
        ({"positive": [0, 1, 2, 3]}, "1 to 3 different classes"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        graphs.with_target(network(), **given)
