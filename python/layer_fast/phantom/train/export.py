"""From a trained network to an ONNX graph."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...engines import open_engine
from ...errors import ModelError
from .networks import Classifier, folded, spatial_mean

if TYPE_CHECKING:
    import onnx

OPSET = 18
PARITY = 1e-4  # largest difference of a logit between torch and ONNX Runtime, relative to the largest logit


class _Tap(nn.Module):
    """Returns `features` beside the logits, so that the tensor has a name in the graph."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.net.features(image)
        return self.net.linear(spatial_mean(features)), features


def to_onnx(net: nn.Module, shape: tuple[int, ...]) -> onnx.ModelProto:
    """ONNX graph of the network with folded batch norms; input (batch, *shape). Raises ModelError if parity fails."""
    tapped = isinstance(net, Classifier)
    plain = folded(net).to(memory_format=torch.contiguous_format)
    names = ["logits", "features"] if tapped else ["logits"]
    sample = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Tap(plain).eval() if tapped else plain,  # type: ignore[arg-type]
            (sample,),
            input_names=["image"],
            output_names=names,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    model = _clean(program.model_proto, keep_outputs=["logits"])  # type: ignore[union-attr]
    _check_parity(net.eval(), model, sample)
    return model


def _clean(model: onnx.ModelProto, keep_outputs: list[str]) -> onnx.ModelProto:
    """Drop traces of the machine and of the source code; keep only the named outputs."""
    import onnx

    kept = [value for value in model.graph.output if value.name in keep_outputs]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    del model.graph.value_info[:]
    del model.metadata_props[:], model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "layer_fast"
    for i, node in enumerate(model.graph.node):
        node.doc_string, node.name = "", f"{node.op_type}_{i}"
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
        value.type.tensor_type.shape.dim[0].Clear()
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def _check_parity(net: nn.Module, model: onnx.ModelProto, sample: Tensor) -> None:
    engine = open_engine("onnxruntime", model.SerializeToString(), threads=1, label="export")
    (found,) = engine.run({"image": sample.numpy()}, ("logits",))
    with torch.no_grad():
        expected = net(sample).numpy()
    worst = float(np.abs(found - expected).max()) / max(float(np.abs(expected).max()), 1.0)
    if not worst <= PARITY:
        raise ModelError(f"export: expected logits within {PARITY:g} of torch, found {worst:g}")
