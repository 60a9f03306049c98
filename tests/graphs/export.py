"""Torch module to ONNX for the tests, with the CAM activation as a second output."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from graphs import zoo
from quiet_export import to_onnx

torch.set_num_threads(1)
CACHE = Path(__file__).parents[2] / ".pytest_cache" / "zoo"
"""Exports are slow (up to half a minute each): kept between runs."""


class Tap(nn.Module):
    """Returns the output of the network and, where a layer is named, that layer's output."""

    def __init__(self, net: nn.Module, layer: str | None) -> None:
        super().__init__()
        self.net, self.features = net, None
        if layer:
            net.get_submodule(layer).register_forward_hook(self._keep)

    def _keep(self, _module: Any, _inputs: Any, output: Any) -> None:
        self.features = output

    def forward(self, image: Any) -> Any:
        y = self.net(image)
        y = y[0] if isinstance(y, tuple | list) else y
        if self.features is None:
            return y
        features, self.features = self.features, None
        return y, features


def randomise(net: nn.Module, seed: int) -> None:
    """Norm statistics and affine weights that differ from their initial 0 and 1."""
    torch.manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
        if "Norm" in type(module).__name__ and getattr(module, "weight", None) is not None:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)


@cache
def network(name: str) -> tuple[Tap, Any]:
    """The float32 module in evaluation mode and an input."""
    entry = zoo.ZOO[name]
    torch.manual_seed(7)
    net = entry.make().eval()
    randomise(net, 8)
    for module in net.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return Tap(net, entry.layer).eval(), torch.randn(entry.shape)


@cache
def exported(name: str) -> onnx.ModelProto:
    """The zoo network as ONNX, batch dynamic, and D, H, W too where the entry says so."""
    entry = zoo.ZOO[name]
    kept = CACHE / f"{name}-{_stamp(name)}.onnx"
    if kept.exists():
        return onnx.load(kept)
    tap, x = network(name)
    dims: dict[int, Any] = {0: torch.export.Dim.DYNAMIC}
    if entry.dynamic:
        dims |= dict.fromkeys(range(2, x.dim()), torch.export.Dim.DYNAMIC)
    names = ["logits", "features"][: 2 if entry.layer else 1]
    model = to_onnx(tap, torch.cat([x, x]), opset=entry.opset, dims=dims, outputs=names)
    CACHE.mkdir(parents=True, exist_ok=True)
    onnx.save(model, kept.with_suffix(f".{os.getpid()}"))
    kept.with_suffix(f".{os.getpid()}").rename(kept)
    return model


def _stamp(name: str) -> str:
    """Changes with the networks, their entry and torch, so that a stale export is never used."""
    here = Path(__file__).parent
    entry = (
        (here / "zoo.py").read_text().partition(f'"{name.removesuffix("_smooth")}": Entry(')[2].partition("Entry(")[0]
    )
    module = "foreign.py" if "foreign." in entry else "nets.py"
    texts = [torch.__version__, entry, (here / module).read_text()]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:12]


@cache
def exported_by_tracing(name: str) -> onnx.ModelProto:
    """The same by the older exporter, which writes sizes as arithmetic on Shape."""
    tap, x = network(name)
    names = ["logits", "features"][: 2 if zoo.ZOO[name].layer else 1]
    return to_onnx(tap, x, opset=17, dims={0: "B"}, outputs=names, tracing=True)


def run(model: onnx.ModelProto, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """One run in ONNX Runtime, one thread, no spinning."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))
