"""torch module -> ONNX graph with an open batch. Needs the extra [torch]."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import ModelError

if TYPE_CHECKING:
    import onnx

OPSET = 18


class OneOutput(nn.Module):
    """The network with one tensor as result: the first of several."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        found = self.network(image)
        return found[0] if isinstance(found, tuple | list) else found


def settled(network: nn.Module) -> OneOutput:
    """A copy on the CPU, float32, evaluation mode, without in-place activations (they would spoil what hooks see)."""
    try:
        own = copy.deepcopy(network)
    except Exception as error:  # what a module holds decides what this raises
        raise ModelError(f"network: expected a module that can be copied, found: {error}") from error
    for module in own.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return OneOutput(own.cpu().float()).eval().requires_grad_(False)


def to_onnx(network: OneOutput, shape: tuple[int, ...], say: Callable[[str], None]) -> onnx.ModelProto:
    """shape: (channels, *sizes). Input `image`, output `logits`. Raises ModelError with the exporter's first words."""
    try:
        import onnxscript  # noqa: F401  (the exporter needs it)
    except ImportError:
        from .extras import missing_extra

        raise missing_extra("onnxscript", "torch") from None
    sample = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            _check_result(network.network(sample), say)
            program: Any = torch.onnx.export(
                network, (sample,), dynamo=True, opset_version=OPSET, input_names=["image"], output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), verbose=False,
            )  # fmt: skip
    except ModelError:
        raise
    except Exception as error:  # the exporter raises many unrelated classes, with pages of text
        first = " ".join(str(error).split())[:300]
        raise ModelError(f"network: torch.onnx.export (opset {OPSET}, input (batch, {', '.join(map(str, shape))})) "
                         f"failed: {first}") from error  # fmt: skip
    finally:
        log.setLevel(level)
    model: onnx.ModelProto = program.model_proto
    return model


def _check_result(found: Any, say: Callable[[str], None]) -> None:
    if isinstance(found, tuple | list) and found:
        say(f"network: took the first of its {len(found)} results")
        found = found[0]
    if not isinstance(found, Tensor):
        raise ModelError(f"network: expected a tensor of logits as its (first) result, found {type(found).__name__}")
