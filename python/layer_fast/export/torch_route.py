"""From a torch module to a package. torch is imported only when a function is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, ModelError
from ..models import ModelPackage
from .build import agreed, draft, finish
from .derived import check_kinds
from .extras import missing_extra
from .facts import AXES, Facts
from .fields import Fields, make_fields, read_mapping
from .head import squashing
from .packaging import check_free

if TYPE_CHECKING:
    import torch

RANDOM = "Random weights, never trained."


def export_torch(
    module: torch.nn.Module,
    fields: Fields | Mapping[str, Any] | str | Path,
    out: str | Path,
    *,
    cohort: str | Path | None = None,
    graphs: Sequence[str] | None = None,
    activation: str | None = None,
    input_shape: Sequence[int] | None = None,
    skip_bad: bool = False,
    say: Callable[[str], None] | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> ModelPackage:
    """Make a model package from a network that takes one image tensor and returns logits, and load it.

    Exported is a copy in evaluation mode, float32, on the CPU (opset 18, open batch); the module is left as it is.
    Logits, gradient and Grad-CAM of the graphs are compared with torch in float64 and Captum on drawn inputs, and the
    figures stand in the manifest. input_shape: (channels, z, y, x) or (channels, y, x); None: what the fields say
    (their grid without the slice axis). Otherwise as `export_onnx`. Raises ConfigError without the extra [torch].
    """
    for package in ("torch", "onnxscript"):
        if find_spec(package) is None:
            raise missing_extra(package, "torch")
    from .torch_export import settled, to_onnx
    from .torch_parity import torch_parity

    tell = say or (lambda text: None)
    stated = make_fields(fields)
    check_free(Path(out))
    check_kinds(graphs, stated.role)
    shape = _shape(stated, input_shape)
    agreed(Facts("image", "logits", None, shape[0], shape[1:]), stated, "input_shape")
    network = settled(module)
    model = to_onnx(network, shape, tell)
    end = squashing(model)
    if end is not None:
        raise ModelError(f"network: expected logits as its result, found that it ends in {end.op_type}; leave that out")
    named = stated.model_copy(update={"input": None, "output": None})  # the export names both
    made = draft(model, named, where="network", graphs=graphs, activation=activation, say=tell)
    made = replace(made, parity={**made.parity, **torch_parity(made, network, tell)})
    return finish(made, Path(out), cohort=cohort, skip_bad=skip_bad, say=tell, tick=tick)


def export_network(
    name: str,
    fields: Fields | Mapping[str, Any] | str | Path,
    out: str | Path,
    *,
    arguments: str | Path | None,
    weights: str | Path | None,
    random_weights: bool,
    say: Callable[[str], None],
    **options: Any,
) -> ModelPackage:
    """`export_torch` of the network with this import name (its code runs), arguments from a YAML file, weights from a
    .safetensors or .pt file. Raises ConfigError where neither weights nor random_weights are given, or both."""
    if (weights is None) != random_weights:
        raise ConfigError("weights: expected a file of weights, or --random-weights to export the network as it is "
                          f"made; found {'neither' if weights is None else 'both'}")  # fmt: skip
    if find_spec("torch") is None:
        raise missing_extra("torch", "torch")
    from .networks import load_weights, make_network

    stated = make_fields(fields)
    check_free(Path(out))
    network = make_network(name, read_mapping(arguments) if arguments is not None else {})
    if weights is not None:
        for note in load_weights(network, Path(weights)):
            say(note)
    else:
        say(f"training_data: {RANDOM}")
        stated = stated.model_copy(update={"training_data": f"{RANDOM} {stated.training_data}"})
    return export_torch(network, stated, out, say=say, **options)


def _shape(fields: Fields, given: Sequence[int] | None) -> tuple[int, ...]:
    stated = [n for axis, n in zip(AXES, fields.grid or (), strict=False) if axis != fields.slice_axis]
    if given is not None:
        shape = tuple(int(n) for n in given)
        if len(shape) not in (3, 4) or min(shape) < 1:
            raise ConfigError(f"input_shape: expected (channels, z, y, x) or (channels, y, x), found {shape}")
        return shape
    if not stated or None in stated:
        raise ConfigError("grid: expected a number along every axis but the slice axis, to export the network for it; "
                          f"found {fields.grid}")  # fmt: skip
    return len(fields.channels), *(n for n in stated if n is not None)
