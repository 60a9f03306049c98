"""An open batch and fixed sizes: what a run needs of a graph's signature, shown to hold by running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..config import thread_budget
from ..engines.onnxruntime import OnnxRuntimeEngine
from ..errors import EngineError, ModelError
from ..models.package import MAX_FILE_BYTES
from .facts import Facts

if TYPE_CHECKING:
    import onnx

Array = NDArray[np.float32]
Run = Callable[[dict[str, Array], tuple[str, ...]], list[Array]]
TINY = float(np.finfo(np.float32).tiny)
SAME = 1e-4  # largest difference of an output by batch, relative to the largest output: float32 sums in another order


def draw(shape: tuple[int, ...], seed: int) -> Array:
    """Inputs as a run gives them, in [0, 1]: a smooth part, so that deep layers react, and noise. (batch, ...)."""
    rng = np.random.default_rng(seed)
    coarse = rng.random([*shape[:2], *(max(2, n // 8) for n in shape[2:])])
    index = np.ix_(*(np.arange(n) * m // n for n, m in zip(shape, coarse.shape, strict=True)))
    return (0.7 * coarse[index] + 0.3 * rng.random(shape)).astype(np.float32)


def serialized(model: onnx.ModelProto, where: str) -> bytes:
    """The bytes of a graph, always the same for the same graph. Raises ModelError above 2 GiB."""
    size = model.ByteSize()
    if size > MAX_FILE_BYTES:
        raise ModelError(f"{where}: expected a graph below 2 GiB, found {size} bytes")
    return bytes(model.SerializeToString(deterministic=True))


def opened(model: onnx.ModelProto, where: str) -> Run:
    """The graph in ONNX Runtime: a function of feeds and output names. Raises ModelError with the engine's words."""
    try:
        engine = OnnxRuntimeEngine(serialized(model, where), threads=thread_budget(), label=where)
    except EngineError as error:
        raise ModelError(str(error)) from error

    def call(feeds: dict[str, Array], outputs: tuple[str, ...]) -> list[Array]:
        try:
            return engine.run(feeds, outputs)
        except EngineError as error:
            raise ModelError(str(error)) from error

    return call


def settle(model: onnx.ModelProto, facts: Facts, sizes: tuple[int, ...], where: str) -> tuple[onnx.ModelProto, str]:
    """The graph with input (batch, channels, *sizes) and stated output shape, and what had to be done for it.

    A fixed batch is opened together with the constant Reshapes that repeat it, else without those.
    Accepted is only a graph that gives for a batch what it gives one by one, and what the graph gave as it was brought.
    Raises ModelError.
    """
    images = draw((2 * (facts.batch or 1), facts.channels, *sizes), seed=0)
    expected = _as_brought(model, facts, sizes, images, where)
    if facts.batch is None:
        open_model = _with_input(model, facts, sizes)
        reason = _difference(open_model, facts, images, expected, where)
        if reason:
            raise ModelError(f"{where}: expected a batch of two to give what each gives alone, found {reason}")
        return _with_output(open_model, expected.shape), ""
    said = f"opened the fixed batch of {facts.batch}"
    reasons = []
    reshaped, count = _open_reshapes(model, facts.batch)
    candidates = [(reshaped, f" and {count} Reshape(s) that repeat it")] if count else []
    for candidate, how in [*candidates, (model, "")]:
        open_model = _with_input(candidate, facts, sizes)
        reason = _difference(open_model, facts, images, expected, where)
        if not reason:
            return _with_output(open_model, expected.shape), said + how
        reasons.append(reason)
    raise ModelError(f"{where}: expected an open batch, found it fixed to {facts.batch}, and opening it changes the "
                     f"graph ({reasons[0]}); export it with a dynamic batch")  # fmt: skip


def _as_brought(model: onnx.ModelProto, facts: Facts, sizes: tuple[int, ...], images: Array, where: str) -> Array:
    call = opened(_with_input(model, facts, sizes, batch=facts.batch), where)
    size = facts.batch or 1
    parts = [call({facts.input: images[i : i + size]}, (facts.output,))[0] for i in range(0, len(images), size)]
    found = np.concatenate(parts)
    if not np.isfinite(found).all():
        raise ModelError(f"{where}: expected finite outputs for inputs in [0, 1], found NaN or infinity")
    if len(found) != len(images):
        raise ModelError(f"{where}: expected one output row per item, found {len(found)} for {len(images)}")
    return found


def _difference(model: onnx.ModelProto, facts: Facts, images: Array, expected: Array, where: str) -> str:
    """Why a graph is not independent of its batch; "" where it is."""
    try:
        call = opened(model, where)
        together = call({facts.input: images}, (facts.output,))[0]
        alone = [call({facts.input: image[None]}, (facts.output,))[0] for image in images[:2]]
    except ModelError as error:
        return f"it does not run: {str(error)[:200]}"
    if together.shape != expected.shape or alone[0].shape != (1, *expected.shape[1:]):
        return f"output {together.shape} for a batch of {len(images)}"
    scale = max(float(np.abs(expected).max()), TINY)
    worst = float(max(np.abs(together - expected).max(), np.abs(np.concatenate(alone) - expected[:2]).max())) / scale
    return "" if worst <= SAME else f"outputs that differ by {worst:.1e}"


def _with_input(
    model: onnx.ModelProto, facts: Facts, sizes: tuple[int, ...], batch: int | None = None
) -> onnx.ModelProto:
    copy = _copy(model)
    _set_shape(copy.graph.input[0], (batch, facts.channels, *sizes))
    copy.graph.output[0].type.tensor_type.ClearField("shape")
    return copy


def _with_output(model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    _set_shape(model.graph.output[0], (None, *shape[1:]))
    return model


def _set_shape(value: onnx.ValueInfoProto, shape: tuple[int | None, ...]) -> None:
    del value.type.tensor_type.shape.dim[:]
    for n in shape:
        dim = value.type.tensor_type.shape.dim.add()
        if n is None:
            dim.dim_param = "batch"
        else:
            dim.dim_value = n


def _open_reshapes(model: onnx.ModelProto, batch: int) -> tuple[onnx.ModelProto, int]:
    """Constant targets of Reshape that begin with the batch begin with 0, which copies the input's; their number."""
    from onnx import numpy_helper

    copy, count = _copy(model), 0
    weights = {tensor.name: tensor for tensor in copy.graph.initializer}
    constants = {node.output[0]: node for node in copy.graph.node if node.op_type == "Constant"}
    for i, node in enumerate(copy.graph.node):
        if node.op_type != "Reshape" or any(a.name == "allowzero" and a.i for a in node.attribute):
            continue
        name = node.input[1]
        tensor = weights.get(name)
        if tensor is None and name in constants and constants[name].attribute[0].name == "value":
            tensor = constants[name].attribute[0].t
        target = None if tensor is None else numpy_helper.to_array(tensor).copy()
        if target is None or len(target) < 2 or target[0] != batch:
            continue
        target[0] = 0
        count += 1
        node.input[1] = f"lf_open_reshape_{i}"
        copy.graph.initializer.append(numpy_helper.from_array(target, node.input[1]))
    return copy, count


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
