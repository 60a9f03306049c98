"""A small 3D network, trained on a light cohort in seconds. Imported only by the parts that train: needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..engines import open_engine
from ..errors import ModelError
from ..models import ModelPackage
from ..models.fill import mean_profile
from ..types import REGIONS, SETUP_CHANNELS
from . import light, scoring
from .packages import package

if TYPE_CHECKING:
    import onnx

WIDTHS = (8, 12, 16)
BINS = 16
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 60, 32, 1e-2, 1e-3
PARITY = 1e-4  # largest difference of a logit between torch and ONNX Runtime


class Net(nn.Module):
    """image (B, C, z, y, x) -> logits (B, 2): three convolutions with ReLU, global average pool, one Linear."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.enter = nn.Conv3d(channels, a, (1, 3, 4), (1, 1, 4), (0, 1, 0))
        self.middle = nn.Conv3d(a, b, (1, 5, 1), (1, 2, 1), (0, 2, 0))
        self.leave = nn.Conv3d(b, c, (2, 5, 1), 1, (0, 2, 0))
        self.linear = nn.Linear(c, 2)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.leave(F.relu(self.middle(F.relu(self.enter(image))))))
        return self.linear(x.mean((2, 3, 4)))


def trained_package(
    name: str, setup: str, train: light.Cohort, profile: light.Cohort, seed: int, permuted: bool = False
) -> tuple[ModelPackage, dict[str, float]]:
    """Train on `train`, take the fill profile from other subjects, export, read back as a package.

    permuted: the training labels in random order. Returns the package and its figures: training AUC and logit SD.
    Raises ModelError where ONNX Runtime disagrees with torch."""
    order = np.random.default_rng(seed).permutation(len(train.is_case)) if permuted else slice(None)
    labels = train.is_case[order]
    blank = np.full((len(SETUP_CHANNELS[setup]), len(REGIONS), BINS), 0.5)
    untrained = Net(len(SETUP_CHANNELS[setup]))
    draft = package(_onnx(untrained), name, setup, blank, logit_sd=1.0, seen=train.names)
    images = scoring.model_images(train, draft)
    net = _train(images, labels, seed)
    with torch.no_grad():
        logits = net(torch.from_numpy(images)).numpy().astype(np.float64)
    margin = logits[:, 1] - logits[:, 0]
    sd = float(margin.std(ddof=1))
    model = _onnx(net)
    _check(model, images, logits)
    own = zip(profile.names, scoring.model_images(profile, draft), profile.labels, strict=True)
    seen = [*train.names, *profile.names]
    made = package(model, name, setup, mean_profile(own, BINS), logit_sd=sd, seen=seen, cam_tensor="features")
    return made, {"logit_sd": sd, "train_auc": auc(margin, labels)}


def auc(score: NDArray[np.float64], is_case: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks."""
    from scipy.stats import rankdata

    n1, n0 = int(is_case.sum()), int((~is_case).sum())
    return float((rankdata(score)[is_case].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _train(images: NDArray[np.float32], labels: NDArray[np.bool_], seed: int) -> Net:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Net(images.shape[1])
    x, y = torch.from_numpy(images), torch.from_numpy(labels).long()
    _start(net, x)
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = EPOCHS * (len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=batches, pct_start=0.2)
    for _ in range(EPOCHS):
        order = torch.from_numpy(rng.permutation(len(labels)))
        for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def _start(net: Net, x: Tensor) -> None:
    """Biases such that every feature is on for about half of the training voxels: what batch norm would have done,
    without its noise on small batches."""
    with torch.no_grad():
        for conv in (net.enter, net.middle, net.leave):
            conv.bias.zero_()
            out = conv(x)
            scale = out.std((0, 2, 3, 4), keepdim=True)
            conv.weight /= scale.transpose(0, 1)
            conv.bias.copy_(-(out / scale).mean((0, 2, 3, 4)))
            x = F.relu(conv(x))


def _onnx(net: Net) -> onnx.ModelProto:
    """The network as a graph, node by node: what the exporter of torch would write, in a thousandth of its time."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {n: numpy_helper.from_array(p.detach().numpy(), n) for n, p in net.named_parameters()}
    nodes, x = [], "image"
    for name in ("enter", "middle", "leave"):
        conv = getattr(net, name)
        out = "features" if name == "leave" else f"{name}_on"
        pads = [*conv.padding, *conv.padding]
        nodes.append(helper.make_node("Conv", [x, f"{name}.weight", f"{name}.bias"], [name],
                                      strides=list(conv.stride), pads=pads))  # fmt: skip
        nodes.append(helper.make_node("Relu", [name], [out]))
        x = out
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "linear.weight", "linear.bias"], ["logits"], transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", net.enter.in_channels, *light.GRID])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "trained", [image], [logits], list(weights.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _check(model: onnx.ModelProto, images: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    engine = open_engine("onnxruntime", model.SerializeToString(), threads=1, label="trained")
    (found,) = engine.run({"image": images}, ("logits",))
    worst = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    if not worst <= PARITY:
        raise ModelError(f"trained: expected logits within {PARITY:g} of torch, found {worst:g}")
