"""What an ONNX graph must be before anything runs: self-contained, plain operators, the promised signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from .manifest import Manifest

if TYPE_CHECKING:
    import onnx


def added_output(kind: str, image: str) -> str:
    """The name of what a graph of this kind adds to a model; image: the model's input."""
    return f"grad_{image}" if kind == "gradient" else "cam"


def parse(data: bytes, where: str) -> onnx.ModelProto:
    """Bytes of an ONNX file -> ModelProto, never touching other files. Raises ModelError."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise ModelError(f"{where}: expected an ONNX model, found bytes that do not parse") from error
    if not model.graph.node:
        raise ModelError(f"{where}: expected a graph with nodes, found none")
    return model


def check_graph(model: onnx.ModelProto, where: str) -> None:
    """Refuse external data, unknown domains, control flow, local functions, unknown opsets and what onnx.checker
    refuses. Raises ModelError."""
    from ..graphs.check import DOMAINS, RUNNABLE, check_valid, has_control_flow, is_outside, stored_tensors

    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    for domain in opsets:
        if domain not in DOMAINS:
            raise ModelError(f"{where}: expected operators of the domain ai.onnx only, found opset import {domain!r}")
    version, (low, high) = opsets.get("ai.onnx"), RUNNABLE
    if version is None or not low <= version <= high:
        raise ModelError(f"{where}: expected opset {low} to {high}, found {version}")
    if model.functions:
        raise ModelError(f"{where}: expected no local functions, found {model.functions[0].name!r}")
    for node in model.graph.node:
        if node.domain not in DOMAINS:
            found = f"{node.domain}.{node.op_type}"
            raise ModelError(f"{where}: expected operators of the domain ai.onnx only, found {found!r}")
        if has_control_flow(node):
            raise ModelError(f"{where}: expected no control flow, found node {node.name!r} of type {node.op_type}")
    for tensor in stored_tensors(model.graph):
        if is_outside(tensor):
            raise ModelError(f"{where}: expected all weights inside the file, found external data for {tensor.name!r}")
    try:
        check_valid(model)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def check_signature(model: onnx.ModelProto, manifest: Manifest, where: str) -> None:
    """Inputs, outputs and the activations of Grad-CAM are those of the manifest. Raises ModelError.

    A 2D model has its slices' axes only: image (batch, C, h, w); logits (batch, classes), of a segmenter
    (batch, layers + 1, h, w).
    """
    grid = tuple(n for n in manifest.grid if n is not None)
    _check_value(_inputs(model), manifest.input, (None, len(manifest.channels), *grid), f"{where}: input")
    if manifest.role == "segmenter":
        shape: tuple[int | None, ...] = (None, len(manifest.layer_names) + 1, *grid)
    else:
        shape = (None, len(manifest.classes or ()))
    _check_value(list(model.graph.output), manifest.output, shape, f"{where}: output")
    named = [*([manifest.cam_tensor] if manifest.cam_tensor else []), *manifest.cam_candidates]
    made = {name for node in model.graph.node for name in node.output}
    for name in named:
        if name not in made:
            raise ModelError(f"{where}: expected a tensor named {name!r} for Grad-CAM, found none")
    known = ranks(model, where) if named else {}
    for name in named:
        if known.get(name, 2 + len(grid)) != 2 + len(grid):
            axes = ", ".join(["batch", "features", *"zyx"[-len(grid) :]])
            raise ModelError(f"{where}: expected ({axes}) of {name!r} for Grad-CAM, found rank {known[name]}")


def check_added_graph(model: onnx.ModelProto, kind: str, manifest: Manifest, where: str) -> None:
    """A graph that the package carries for other runtimes: plain as the model, its input and `cotangent`, and the
    output of its kind. Raises ModelError."""
    check_graph(model, where)
    wanted, found = {manifest.input, "cotangent"}, [value.name for value in _inputs(model)]
    if set(found) != wanted:
        raise ModelError(f"{where}: expected the inputs {sorted(wanted)}, found {found}")
    output, outputs = added_output(kind, manifest.input), [value.name for value in model.graph.output]
    if output not in outputs:
        raise ModelError(f"{where}: expected an output named {output!r}, found {outputs}")


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def ranks(model: onnx.ModelProto, where: str) -> dict[str, int]:
    """Ranks of the tensors inside, as far as shape inference finds them. Raises ModelError."""
    import onnx

    from ..graphs.check import skeleton

    try:
        return stated_ranks(onnx.shape_inference.infer_shapes(skeleton(model)).graph)
    except (onnx.shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"{where}: expected a graph whose shapes agree, found: {error}") from error


def stated_ranks(graph: onnx.GraphProto) -> dict[str, int]:
    """Number of axes of every tensor that a graph states a shape of, its inputs left out."""
    found = {value.name: value.type.tensor_type for value in [*graph.value_info, *graph.output]}
    return {name: len(tensor.shape.dim) for name, tensor in found.items() if tensor.HasField("shape")}


def _check_value(values: list[onnx.ValueInfoProto], name: str, shape: tuple[int | None, ...], where: str) -> None:
    import onnx

    if [value.name for value in values] != [name]:
        raise ModelError(f"{where}: expected exactly {[name]}, found {[value.name for value in values]}")
    tensor = values[0].type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(f"{where} {name!r}: expected float32, found {kind}")
    found = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    if found != shape:
        raise ModelError(f"{where} {name!r}: expected shape {_text(shape)}, found {_text(found)}")


def _text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("batch" if n is None else str(n) for n in shape) + ")"
