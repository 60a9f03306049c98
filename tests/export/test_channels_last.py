"""A network that ends channels last, with a block as in ConvNeXt: its map is taken in front of that."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import tolerances
from export import small
from layer_fast.errors import ModelError
from layer_fast.export import export_onnx

SIZES = small.GRID[1:]


class Net(nn.Module):
    """A stem, one ConvNeXt block, and a head of LayerNorm, mean and linear layer, all of them channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.depthwise = nn.Conv2d(6, 6, 5, padding=2, groups=6)
        self.norm, self.wide, self.narrow = nn.LayerNorm(6), nn.Linear(6, 12), nn.Linear(12, 6)
        self.last, self.head = nn.LayerNorm(6), nn.Linear(6, 2)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stem(image)
        inner = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        inner = self.narrow(nn.functional.gelu(self.wide(inner)))
        return x + inner.permute(0, 3, 1, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.end(self.features(image))

    def end(self, features: torch.Tensor) -> torch.Tensor:
        return self.head(self.last(features.permute(0, 2, 3, 1)).mean((1, 2)))


@pytest.fixture(scope="module", params=[17, 16])  # opset 16 has no LayerNormalization: it is taken apart
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Net, Path]:
    torch.manual_seed(5)
    net, path = Net().eval(), tmp_path_factory.mktemp("last") / "net.onnx"
    names = {"input_names": ["image"], "output_names": ["logits"], "dynamic_axes": {"image": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.rand(1, 1, *SIZES),), str(path), opset_version=request.param, dynamo=False,
                          **names)  # fmt: skip
    return net, path


def test_its_map_is_grad_cam(made: tuple[Net, Path], tmp_path: Path) -> None:
    net, path = made
    package = export_onnx(path, small.fields_2d(), tmp_path / "out")
    image = torch.rand(2, 1, *SIZES)
    shipped = (package.path / "gradcam.onnx").read_bytes()
    session = onnxruntime.InferenceSession(shipped, providers=["CPUExecutionProvider"])
    cotangent = np.array([[-1, 1]] * 2, np.float32)
    (cam,) = session.run(["cam"], {"image": image.numpy(), "cotangent": cotangent})
    features = net.features(image).detach().requires_grad_()
    logits = net.end(features)
    (logits[:, 1] - logits[:, 0]).sum().backward()
    assert features.grad is not None
    expected = (features.grad.mean((2, 3), keepdim=True) * features).sum(1).detach().numpy()
    assert cam.shape == expected.shape == (2, *SIZES)
    assert np.linalg.norm(cam - expected) < tolerances.NET_SMOOTH * np.linalg.norm(expected)


def test_a_channels_last_activation_is_refused(made: tuple[Net, Path], tmp_path: Path) -> None:
    _, path = made
    graph = onnx.load(path).graph
    mean = [node for node in graph.node if node.op_type == "ReduceMean"][-1]
    with pytest.raises(ModelError, match="channels last"):
        export_onnx(path, small.fields_2d(), tmp_path / "out", activation=mean.input[0])
    assert not (tmp_path / "out").exists()
