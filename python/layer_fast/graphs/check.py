"""What a graph may hold: known operators of the standard domain, no control flow, all weights inside the file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx
from onnx import checker, helper, shape_inference

from ..errors import ModelError

OPSETS = (13, 21)
"""Oldest and newest opset that the gradient rules hold for, both included."""
RUNNABLE = (13, 23)
"""The same of a graph that is only run."""
DOMAINS = ("", "ai.onnx")
"""Names of the standard operators' domain."""
LARGEST_TENSOR = 2**33
"""Elements of one tensor, its open sizes counted as 1: 32 GiB of float32, beyond any network that is run."""


def names(*lines: str) -> frozenset[str]:
    """The words of all lines."""
    return frozenset(" ".join(lines).split())


CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})

NO_GRADIENT = names(
    "And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Constant ConstantOfShape Equal EyeLike",
    "Floor Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual NonZero Not OneHot Or Range Round Shape Sign Size",
    "Xor",
)
"""Operators whose outputs do not change with small changes of their inputs: back-propagation ends there."""

DIFFERENTIABLE = names(
    "Abs Acos Acosh Add Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Celu Clip Concat Conv",
    "ConvTranspose Cos Cosh CumSum DepthToSpace Div Dropout Einsum Elu Erf Exp Expand Flatten Gather GatherElements",
    "GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool GroupNormalization HardSigmoid HardSwish Identity",
    "InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax LpNormalization LRN MatMul Max MaxPool Mean",
    "MeanVarianceNormalization Min Mish Mul Neg Pad Pow PRelu Reciprocal ReduceL1 ReduceL2 ReduceLogSum",
    "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize",
    "ScatterND Selu Shrink Sigmoid Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum",
    "Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where",
)
"""Operators with a gradient rule (the registry of rules.py is held to this list by a test)."""

FORWARD_ONLY = names(
    "AffineGrid CenterCropPad Col2Im Compress DequantizeLinear DynamicQuantizeLinear",
    "GlobalLpPool GridSample GRU Hardmax LSTM LpPool MatMulInteger ConvInteger Mod QLinearConv QLinearMatMul",
    "QuantizeLinear RNN ReverseSequence ScatterElements Unique",
)
"""Operators that may stand anywhere but between the output and what it is differentiated by."""

ALLOWED = NO_GRADIENT | DIFFERENTIABLE | FORWARD_ONLY


def stored_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Everything that a graph holds data of: initializers and attributes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor.values
                yield attribute.sparse_tensor.indices


def is_outside(tensor: onnx.TensorProto) -> bool:
    """Whether its data lies in another file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL or bool(tensor.external_data)


def has_control_flow(node: onnx.NodeProto) -> bool:
    """Whether it is an operator with branches or a body, or holds a graph in an attribute."""
    return node.op_type in CONTROL_FLOW or any(a.HasField("g") or a.graphs for a in node.attribute)


def check_ops(model: onnx.ModelProto) -> None:
    """Refuse external data, control flow, foreign operator domains and unknown operators, each by name."""
    for t in stored_tensors(model.graph):
        if is_outside(t):
            raise ModelError(f"initializer {t.name!r}: its data lies outside the file; save the model as one file")
    for node in model.graph.node:
        label = f"node {node.name or (node.output[0] if node.output else '')!r} ({node.op_type})"
        if has_control_flow(node):
            raise ModelError(f"{label}: control flow is not supported; export with fixed branches")
        if node.domain not in DOMAINS:
            raise ModelError(f"{label}: operator domain {node.domain!r} is not the standard one")
        if node.op_type not in ALLOWED:
            raise ModelError(f"{label}: operator is not on the list of allowed operators")


def check_model(model: onnx.ModelProto) -> None:
    """The allow-list, then onnx.checker, then strict shape and type inference; ModelError says what fails."""
    check_ops(model)
    check_valid(model)
    light = skeleton(model)
    try:
        shape_inference.infer_shapes(light, check_type=True, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"graph is not valid ONNX: {error}") from error


def check_valid(model: onnx.ModelProto) -> None:
    """onnx.checker: every node has the inputs, outputs and attributes that its operator asks for. Raises ModelError."""
    light = skeleton(model)
    for value in (*light.graph.input, *light.graph.output):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()  # the checker wants one; what is not stated is inferred later
    try:
        checker.check_model(light)
    except (checker.ValidationError, RuntimeError) as error:
        raise ModelError(f"graph is not valid ONNX: {error}") from error
    for node in model.graph.node:
        if node.op_type == "Constant" and len(node.attribute) != 1:  # which the checker lets pass
            raise ModelError(f"graph is not valid ONNX: node {node.name or node.output[0]!r} (Constant): expected one "
                             f"attribute, found {len(node.attribute)}")  # fmt: skip


def check_sizes(model: onnx.ModelProto) -> None:
    """Refuse a graph with a tensor of absurd size, before anything tries to hold it; ModelError names the tensor.

    Sees what shape inference can tell; a graph that it cannot read passes.
    """
    try:
        graph = shape_inference.infer_shapes(skeleton(model), data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError):
        return
    check_tensors(graph)


def check_tensors(graph: onnx.GraphProto) -> None:
    """As `check_sizes`, for a graph with inferred shapes."""
    for info in [*graph.value_info, *graph.output]:
        known = [d.dim_value for d in info.type.tensor_type.shape.dim if d.dim_value > 1]
        if math.prod(known) > LARGEST_TENSOR:
            raise ModelError(f"tensor {info.name!r}: expected at most {LARGEST_TENSOR} elements, found sizes {known}")


def skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with large weights as inputs: checks and shape inference need their types, not their bytes."""
    light = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = model.graph.name or "graph"
    for field in ("node", "input", "output", "value_info"):
        getattr(graph, field).extend(getattr(model.graph, field))
    graph.sparse_initializer.extend(model.graph.sparse_initializer)
    listed = {i.name for i in graph.input}
    for t in model.graph.initializer:
        if math.prod(t.dims) <= 4096:
            graph.initializer.append(t)
        elif t.name not in listed:
            graph.input.append(helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)))
    return light
