"""Networks with a dependence that is known because it is made by hand: they read one layer and nothing else.

In cohorts of style "coded" label k keeps to grey values of its own (`light.CODE_STEP`), whatever its content; so does
the fill, which is a mean of such values. A network therefore finds layer k in any image, composed or not, by
lo < x < hi, wherever the layer lies and however thick it is. What it then reads:

- mean: sum(x - centre) / n over the layer's voxels;
- texture: mean of (x(v + 1) - x(v))^2 over lateral neighbours that both lie in the layer (local variance, twice);
- geometry: n / (voxels of the volume), the layer's relative volume.

Voxels of other layers enter as exact zeros, so the logits of two coalitions that agree on layer k are equal bit for
bit: the Shapley value of every other player is exactly 0, and that of k is the reading of the scan less the reading of
the fill. A geometry reader sees the same number in every coalition: all its content values are exactly 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..types import REGIONS, SETUP_CHANNELS
from .light import CODE_STEP, GRID

if TYPE_CHECKING:
    import onnx

KINDS = ("mean", "texture", "geometry")
GAIN = {"mean": 100.0, "texture": 2000.0, "geometry": 100.0}  # brings the logits' SD over subjects near 1
OPSET = 18


def bounds(label: int) -> tuple[float, float]:
    """The open interval of model-input units that label's code lies in."""
    return label * CODE_STEP, (label + 1) * CODE_STEP


def reader(kind: str, layer: str, setup: str) -> onnx.ModelProto:
    """image (batch, C, z, y, x) -> logits (batch, 2): control 0, case GAIN * (sum over the channels' readings).

    Raises ValueError for an unknown kind; KeyError or ValueError for an unknown setup or layer."""
    from onnx import TensorProto, helper, numpy_helper

    if kind not in KINDS:
        raise ValueError(f"[reader] expected one of {', '.join(KINDS)}, got {kind!r}")
    label, channels = REGIONS.index(layer), len(SETUP_CHANNELS[setup])
    low, high = bounds(label)
    floats = {
        "low": low, "high": high, "centre": 0.5 * (low + high), "gain": GAIN[kind], "total": float(np.prod(GRID)),
        "both": np.array([[0.0, 1.0]]),
    }  # fmt: skip
    whole = {"spatial": [1, 2, 3, 4], "first": [0], "last": [-1], "second": [1], "end": [2**31], "x": [4], "c": [1]}
    whole |= {f"c{i}": [i] for i in range(channels + 1)}
    nodes: list[Any] = []
    parts = [_channel(nodes, kind, i) for i in range(channels)]
    nodes.append(helper.make_node("Sum", parts, ["reading"]))
    nodes.append(helper.make_node("Mul", ["reading", "gain"], ["value"]))
    nodes.append(helper.make_node("Mul", ["value", "both"], ["logits"]))
    tensors = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in floats.items()]
    tensors += [numpy_helper.from_array(np.asarray(v, np.int64), k) for k, v in whole.items()]
    used = {name for node in nodes for name in node.input}
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", channels, *GRID])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, f"{kind}_reader", [image], [logits], [t for t in tensors if t.name in used])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def _channel(nodes: list[Any], kind: str, i: int) -> str:
    """Append the reading of channel i, (batch, 1); returns its name."""
    from onnx import TensorProto, helper

    def add(op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [f"{name}_{i}"], **attributes))
        return f"{name}_{i}"

    def total(name: str) -> str:
        summed = add("ReduceSum", [name, "spatial"], f"sum_{name}", keepdims=0)
        return add("Unsqueeze", [summed, "second"], f"column_{name}")

    x = add("Slice", ["image", f"c{i}", f"c{i + 1}", "c"], "channel")
    inside = add("And", [add("Greater", [x, "low"], "above"), add("Less", [x, "high"], "below")], "inside")
    own = add("Cast", [inside], "own", to=TensorProto.FLOAT)
    if kind == "geometry":
        return add("Div", [total(own), "total"], "volume")
    if kind == "mean":
        return add("Div", [total(add("Mul", [own, add("Sub", [x, "centre"], "from")], "off")), total(own)], "mean")
    left, right = (
        [add("Slice", [name, *ends, "x"], f"{side}_{what}") for name, what in ((x, "x"), (own, "own"))]
        for side, ends in (("left", ["first", "last"]), ("right", ["second", "end"]))
    )
    step = add("Sub", [right[0], left[0]], "step")
    pair = add("Mul", [left[1], right[1]], "pair")
    energy = add("Mul", [add("Mul", [step, step], "square"), pair], "energy")
    return add("Div", [total(energy), total(pair)], "texture")


def expected_reading(kind: str, image: NDArray[np.float32], labels: NDArray[np.uint8], layer: str) -> float:
    """The same reading from the true labels, in float64: what the network must say of image (C, z, y, x), in logits."""
    own = labels == REGIONS.index(layer)
    out = 0.0
    for channel in np.asarray(image, np.float64):
        if kind == "geometry":
            out += own.mean()
        elif kind == "mean":
            out += channel[own].mean() - sum(bounds(REGIONS.index(layer))) / 2.0
        else:
            pair = own[..., 1:] & own[..., :-1]
            out += float((np.diff(channel, axis=-1)[pair] ** 2).mean())
    return GAIN[kind] * out
