"""A 2D model over the slices of a volume: the loop over slices becomes part of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import onnx
from onnx import helper

from ..errors import ModelError
from .build import Builder, Dim
from .prepare import infer
from .shapes import dim_of, log_exp, pack, reshape

SliceAxis = Literal["z", "y", "x"]
Role = Literal["classifier", "segmenter"]
Pooling = Literal["mean_logit", "max_logit", "mean_probability"]
AXES = ("z", "y", "x")
RANKS = {"classifier": 2, "segmenter": 4}
POOLINGS = ("mean_logit", "max_logit", "mean_probability")
PREFIX = "lf_slices_"
ITEMS = "batch_slices"  # symbol of the batch inside: volumes times slices


def over_slices(
    model: onnx.ModelProto,
    *,
    axis: SliceAxis = "z",
    role: Role = "classifier",
    pooling: Pooling = "mean_logit",
    input: str = "image",
    output: str = "logits",
) -> onnx.ModelProto:
    """Make a volume model of a slice model: `input` (B, C, h, w) becomes (B, C, z, y, x), with any number of slices.

    The slices lie along `axis`; (h, w) are the two other axes in the order (z, y, x), in the slice model's sizes. All
    slices of all volumes run as one batch. A segmenter's `output` (B, K, h, w) becomes (B, K, z, y, x). A classifier's
    slice logits (B, n, K) are pooled to (B, K): "mean_logit" by their mean, "max_logit" by the largest of each class,
    "mean_probability" by log(mean over slices of softmax), so that a margin of two classes is a log odds.
    Tensors inside keep their names; their batch is B * n, slice by slice of the first volume, then of the next. Hence
    `cam` of `gradcam` is (B * n, mh, mw), and holds each slice's share in the pooled output (1 / n for mean_logit).
    Raises ModelError.
    """
    for name, value, known in (("axis", axis, AXES), ("role", role, RANKS), ("pooling", pooling, POOLINGS)):
        if value not in known:
            raise ModelError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    b = Builder(_renamed(model, {name: PREFIX + name for name in (input, output)}))
    plane, made = _signature(b, input, output, RANKS[role])
    _separate(b.graph, plane[0])
    position = 2 + AXES.index(axis)
    volume: list[Dim] = ["batch", *plane[1:]]
    volume.insert(position, "slices")
    _take_apart(b, input, volume, position)

    sizes = [dim_of(b, input, volume, 0), -1, *(dim_of(b, PREFIX + output, made, axis) for axis in range(1, len(made)))]
    joined, shape = reshape(b, PREFIX + output, sizes), ["batch", *made[1:]]
    kind = b.elem_type(PREFIX + output)  # what inference at old opsets does not find from computed sizes is stated
    b.graph.value_info.append(helper.make_tensor_value_info(joined, kind, ["batch", "slices", *made[1:]]))
    if role == "classifier":
        joined = _pool(b, joined, pooling)
    else:
        joined = _put_together(b, joined, position)
        shape.insert(position, "slices")
    others = [o for o in b.graph.output if o.name != PREFIX + output]
    del b.graph.output[:]
    b.add_output(joined, output, kind, shape)
    b.graph.output.extend(others)
    return infer(b.finish())


def _signature(b: Builder, input: str, output: str, rank: int) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """Dimensions of the slice model's input and output."""
    found = [i.name.removeprefix(PREFIX) for i in b.graph.input]
    if found != [input]:
        raise ModelError(f"input: expected a model with the one input {input!r}, found {found}")
    if not b.knows(PREFIX + output):
        raise ModelError(f"output: expected a tensor named {output!r}, found {sorted(b.outputs)}")
    plane = _per_slice(b, PREFIX + input, f"input {input!r}", 4)
    return plane, _per_slice(b, PREFIX + output, f"output {output!r}", rank)


def _renamed(model: onnx.ModelProto, names: Mapping[str, str]) -> onnx.ModelProto:
    """A copy in which tensors have other names: the old ones are for the volume's."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        if any(name in names.values() for name in node.output):
            raise ModelError(f"model: expected a slice model, found one that runs over slices already ({node.name!r})")
        for part in (node.input, node.output):
            part[:] = [names.get(name, name) for name in part]
    for info in (*copy.graph.input, *copy.graph.output, *copy.graph.value_info):
        info.name = names.get(info.name, info.name)
    return copy


def _per_slice(b: Builder, tensor: str, what: str, rank: int) -> tuple[Dim, ...]:
    """Dimensions of a float tensor (batch, channels, ...): the batch open, the channels fixed."""
    axes = "(batch, channels, height, width)" if rank == 4 else "(batch, classes)"
    dims = b.shape(tensor)
    if not b.is_float(tensor) or len(dims) != rank:
        kind = onnx.TensorProto.DataType.Name(b.elem_type(tensor))
        raise ModelError(f"{what}: expected a floating tensor {axes} of a slice model, found {kind} {dims}")
    if isinstance(dims[0], int):
        raise ModelError(f"{what}: expected an open batch in {axes}, found {dims}; export it with a dynamic batch")
    if not isinstance(dims[1], int):
        raise ModelError(f"{what}: expected a fixed second dimension in {axes}, found {dims}")
    return dims


def _separate(graph: onnx.GraphProto, batch: Dim) -> None:
    """Give the batch of slices its own symbol: the volume's is another number."""
    for info in (*graph.output, *graph.value_info, *graph.input):
        for dim in info.type.tensor_type.shape.dim:
            if batch is not None and dim.dim_param == batch:
                dim.dim_param = ITEMS


def _take_apart(b: Builder, volume: str, dims: Sequence[Dim], position: int) -> None:
    """Nodes before all others: volume (B, C, z, y, x) -> its slices (B * n, C, h, w)."""
    forward, inside = len(b.graph.node), PREFIX + volume
    b.graph.value_info.append(b.graph.input[0])
    b.graph.value_info[-1].type.tensor_type.shape.dim[0].dim_param = ITEMS
    del b.graph.input[:]
    b.graph.input.append(helper.make_tensor_value_info(b.claim(volume), b.elem_type(inside), list(dims)))
    others = [axis for axis in range(1, 5) if axis != position]
    first = b.op("Transpose", volume, perm=[0, position, *others])
    sizes = pack(b, [-1, *(dim_of(b, volume, dims, axis) for axis in others)])
    b.graph.node.append(helper.make_node("Reshape", [first, sizes], [inside], name=inside))
    nodes = list(b.graph.node)
    del b.graph.node[:]
    b.graph.node.extend(nodes[forward:] + nodes[:forward])


def _put_together(b: Builder, slices: str, position: int) -> str:
    """Slices (B, n, K, h, w) of a segmenter -> (B, K, z, y, x)."""
    order = [0, 2, 3, 4]
    order.insert(position, 1)
    return b.op("Transpose", slices, perm=order)


def _pool(b: Builder, logits: str, pooling: str) -> str:
    """Slice logits (B, n, K) -> (B, K)."""
    if pooling == "mean_logit":
        return b.reduce("Mean", logits, [1], keepdims=False)
    if pooling == "max_logit":
        return b.reduce("Max", logits, [1], keepdims=False)
    chances = b.sub(logits, log_exp(b, "Sum", logits, 2))
    return b.op("Squeeze", log_exp(b, "Mean", chances, 1), b.ints([1]))
