"""What a bare ONNX file is, and what of it could become a package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import graphs
from ..errors import LayerFastError, ModelError
from ..graphs.check import DIFFERENTIABLE, NO_GRADIENT, check_sizes
from ..models.graph_checks import check_graph
from ..types import LAYERS
from .batch import opened, settle
from .derived import MAX_CANDIDATES
from .facts import facts_of
from .head import without_softmax
from .source import read_onnx
from .tidy import tidy

if TYPE_CHECKING:
    import onnx


def describe_onnx(path: str | Path) -> dict[str, Any]:
    """Inputs, outputs, opset, operators, what lacks a gradient rule, activations, and `refused`: every reason found why
    no package can be made of the file (empty: none, for fitting fields). Like an export it opens the graph in ONNX
    Runtime and runs one of fixed sizes on drawn inputs. Raises ModelError where the file cannot be read at all."""
    path = Path(path)
    model = read_onnx(path)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [_value(value) for value in graph.input if value.name not in weights]
    outputs = [_value(value) for value in graph.output]
    operators = Counter(node.op_type for node in graph.node)
    found: dict[str, Any] = {
        "path": str(path),
        "bytes": path.stat().st_size,
        "ir_version": model.ir_version,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "inputs": inputs,
        "outputs": outputs,
        "weights": len(weights),
        "parameters": sum(_count(tensor) for tensor in weights.values()),
        "operators": dict(sorted(operators.items())),
        "without_gradient_rule": sorted(op for op in operators if op not in DIFFERENTIABLE | NO_GRADIENT),
    }
    return found | _derived(model, path, [value["name"] for value in outputs])


def _derived(model: onnx.ModelProto, path: Path, outputs: list[str]) -> dict[str, Any]:
    """What can be made of a graph. A file that breaks the rules of all graphs is not looked at further: what it holds
    or names is not read."""
    refused: list[str] = []
    _try(refused, lambda: check_graph(model, path.name))
    if not refused:
        _try(refused, lambda: check_sizes(model))
    if refused:
        none = dict.fromkeys(("gradient", "gradcam", "class_maps"), refused[0])
        return {"refused": refused, "activations": [], **none}
    _try(refused, lambda: _as_exported(model, path.name))
    output = outputs[0] if outputs else ""
    reasons: list[str] = []
    names = _try(reasons, lambda: graphs.find_activations(model, output)) or []
    first = names[0] if names else None
    no_map = reasons[0] if reasons else "no activation found: a map needs a tensor with at least two spatial axes"
    image = next((value.name for value in model.graph.input), "")
    shapes = _shapes(model) if names else {}
    return {
        "refused": refused,
        "activations": [{"name": name, "shape": shapes.get(name)} for name in names[:MAX_CANDIDATES]],
        "gradient": _possible(lambda: graphs.gradient(model, output, (image,))),
        "gradcam": _possible(lambda: graphs.gradcam(model, output, first)) if first else no_map,
        "class_maps": _possible(lambda: graphs.class_maps(model, output, first)) if first else no_map,
    }


def _as_exported(model: onnx.ModelProto, where: str) -> None:
    """What export does with a graph before it needs stated fields; only a graph of fixed sizes is run.

    Raises ModelError.
    """
    plain = tidy(model, where, None, None)
    facts = facts_of(plain, where)
    plain, _ = without_softmax(plain, where)
    sizes = [size for size in facts.sizes if size is not None]
    if len(sizes) < len(facts.sizes):
        opened(plain, where)
        return
    settled, _ = settle(plain, facts, tuple(sizes), where)
    shape = [d.dim_value for d in settled.graph.output[0].type.tensor_type.shape.dim][1:]
    if not (len(shape) == 1 and shape[0] > 1) and shape != [1 + len(LAYERS), *sizes]:
        raise ModelError(f"{where}: expected logits (batch, 2 or more classes), or (batch, {1 + len(LAYERS)}, *grid) "
                         f"of a segmenter, found (batch, {', '.join(map(str, shape))})")  # fmt: skip


def _possible(make: Callable[[], object]) -> str:
    """"yes", or why not."""
    reasons: list[str] = []
    _try(reasons, make)
    return reasons[0] if reasons else "yes"


def _try(reasons: list[str], make: Callable[[], Any]) -> Any:
    try:
        return make()
    except LayerFastError as error:
        reasons.append(str(error))
        return None


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | str | None]]:
    from ..graphs.prepare import prepare

    return {value.name: _dims(value) or [] for value in prepare(model).graph.value_info}


def _value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    import onnx

    kind = value.type.tensor_type.elem_type
    return {"name": value.name, "type": onnx.TensorProto.DataType.Name(kind).lower(), "shape": _dims(value)}


def _dims(value: onnx.ValueInfoProto) -> list[int | str | None] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim]


def _count(tensor: onnx.TensorProto) -> int:
    from math import prod

    return prod(tensor.dims)
