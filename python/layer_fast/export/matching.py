"""Which module of a network makes a tensor of its graph: names are lost in an export, values are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from .batch import Array, opened

if TYPE_CHECKING:
    import onnx

    from .build import Draft

SAME = 1e-4  # of the largest value: float32 in two programs


def find_module(made: Draft, network: nn.Module, image: Array) -> str | None:
    """The name of a module, called once in a forward pass, whose output is the activation; None if there is none.

    Of several (a block and its last step) the outermost is taken.
    """
    if made.cam.tensor is None:
        return None
    wanted = _activation(made.model, made.cam.tensor, made.facts.input, image)
    kept: dict[str, list[np.ndarray]] = {}
    hooks = [module.register_forward_hook(_keeper(kept, name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(torch.from_numpy(image))
    finally:
        for hook in hooks:
            hook.remove()
    alike = [name for name, found in kept.items() if len(found) == 1 and _same(found[0], wanted)]
    return min(alike, key=lambda name: (name.count("."), name), default=None)


def _keeper(kept: dict[str, list[np.ndarray]], name: str) -> Any:
    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            kept.setdefault(name, []).append(output.detach().clone().numpy())

    return keep


def _activation(model: onnx.ModelProto, tensor: str, input_name: str, image: Array) -> Array:
    import onnx

    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    if tensor not in {value.name for value in tapped.graph.output}:
        tapped.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None))
    return opened(tapped, "model.onnx")({input_name: image}, (tensor,))[0]


def _same(found: np.ndarray, wanted: Array) -> bool:
    if found.shape != wanted.shape:
        return False
    return bool(np.abs(found - wanted).max() <= SAME * max(float(np.abs(wanted).max()), 1e-30))
