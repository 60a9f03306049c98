"""A slice model as a volume model, against the slice model run slice by slice in a plain loop."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tolerances
from graphs import single, trt
from layer_fast import graphs
from layer_fast.errors import ModelError
from layer_fast.graphs.slices import POOLINGS

PLANE, CHANNELS, CLASSES = (5, 7), 2, 3
AXIS = {"z": 2, "y": 3, "x": 4}


def slice_model(role: str = "classifier", dtype: Any = np.float32, plane: tuple[Any, Any] = PLANE) -> onnx.ModelProto:
    """Conv, softplus (`features`), then a global mean and a Gemm, or a 1x1 Conv; the batch is "batch"."""
    rng = np.random.default_rng(3)
    weights = {"w": rng.normal(size=(4, CHANNELS, 3, 3)), "b": rng.normal(size=4)}
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Softplus", ["c"], ["features"]),
    ]
    dims: list[Any] = ["batch", CLASSES]
    if role == "classifier":
        weights |= {"v": 2 * rng.normal(size=(4, CLASSES)), "a": rng.normal(size=CLASSES)}
        nodes += [
            helper.make_node("GlobalAveragePool", ["features"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "v", "a"], ["logits"]),
        ]
    else:
        weights |= {"v": rng.normal(size=(CLASSES, 4, 1, 1))}
        nodes.append(helper.make_node("Conv", ["features", "v"], ["logits"], kernel_shape=[1, 1]))
        dims += plane
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    inputs = [helper.make_tensor_value_info("image", kind, ["batch", CHANNELS, *plane])]
    outputs = [helper.make_tensor_value_info("logits", kind, dims)]
    tensors = [numpy_helper.from_array(v.astype(dtype), k) for k, v in weights.items()]
    graph = helper.make_graph(nodes, "slices", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def volume(axis: str, batch: int, slices: int, dtype: Any = np.float32) -> np.ndarray:
    shape = [batch, CHANNELS, *PLANE]
    shape.insert(AXIS[axis], slices)
    return np.random.default_rng(4).normal(size=shape).astype(dtype)


def slices_of(x: np.ndarray, axis: str) -> np.ndarray:
    """(B, C, z, y, x) -> (B, n, C, h, w)."""
    return np.moveaxis(x, AXIS[axis], 1)


def pooled_slope(logits: np.ndarray, pooling: str, cotangent: np.ndarray) -> np.ndarray:
    """d sum(cotangent * pooled) / d slice logits, (B, n, K), by hand."""
    logits = logits.astype(np.float64)
    if pooling == "mean_logit":
        return np.broadcast_to(cotangent[:, None] / logits.shape[1], logits.shape)
    if pooling == "max_logit":
        return np.where(logits == logits.max(1, keepdims=True), cotangent[:, None], 0.0)
    chance = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    part = cotangent[:, None] * chance / chance.sum(1, keepdims=True)
    return part - chance * part.sum(2, keepdims=True)


def each(model: onnx.ModelProto, x: np.ndarray, name: str, **more: np.ndarray) -> np.ndarray:
    """One output of the slice model, slice by slice: x (B, n, C, h, w) -> (B, n, ...)."""
    run = single.session(model)
    rows = [
        [run.run([name], {"image": one[None], **{k: v[i, j][None] for k, v in more.items()}})[0][0] for j, one in row]
        for i, row in enumerate(map(enumerate, x))
    ]
    return np.array(rows)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("axis", AXIS)
def test_classifier_equals_a_loop_over_slices(axis: str, pooling: str, batch: int) -> None:
    model, x = slice_model(), volume(axis, batch, 3)
    wrapped = graphs.over_slices(model, axis=axis, pooling=pooling)  # type: ignore[arg-type]
    for slices in (3, 1, 6):  # the number of slices is open
        x = volume(axis, batch, slices)
        expected = single.pooled(each(model, slices_of(x, axis), "logits"), pooling)
        got = single.run(wrapped, image=x)["logits"]
        assert got.shape == (batch, CLASSES)
        assert single.relative(got, expected) < tolerances.NET_FORWARD


@pytest.mark.parametrize("axis", AXIS)
def test_segmenter_equals_a_loop_over_slices(axis: str) -> None:
    model, x = slice_model("segmenter"), volume(axis, 2, 3)
    got = single.run(graphs.over_slices(model, axis=axis, role="segmenter"), image=x)["logits"]  # type: ignore[arg-type]
    assert got.shape == (2, CLASSES, *x.shape[2:])
    expected = np.moveaxis(each(model, slices_of(x, axis), "logits"), 1, AXIS[axis])
    assert single.relative(got, expected) < tolerances.NET_FORWARD


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("axis", AXIS)
def test_gradient_and_maps_follow_the_chain_rule(axis: str, pooling: str) -> None:
    model, x = slice_model(), volume(axis, 2, 3)
    cotangent = np.random.default_rng(5).normal(size=(2, CLASSES)).astype(np.float32)
    planes = slices_of(x, axis)
    slope = pooled_slope(each(model, planes, "logits"), pooling, cotangent).astype(np.float32)
    wrapped = graphs.over_slices(model, axis=axis, pooling=pooling)  # type: ignore[arg-type]

    got = single.run(graphs.gradient(wrapped), image=x, cotangent=cotangent)["grad_image"]
    expected = np.moveaxis(each(graphs.gradient(model), planes, "grad_image", cotangent=slope), 1, AXIS[axis])
    assert single.relative(got, expected) < tolerances.NET_SMOOTH
    for make in (graphs.gradcam, graphs.hirescam):
        cam = single.run(make(wrapped), image=x, cotangent=cotangent)["cam"]
        assert cam.shape == (6, *PLANE)
        one_by_one = each(make(model), planes, "cam", cotangent=slope)
        assert single.relative(cam.reshape(one_by_one.shape), one_by_one) < tolerances.NET_SMOOTH


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradient_against_differences_in_float64(pooling: str) -> None:
    model = slice_model(dtype=np.float64)
    wrapped = graphs.over_slices(model, pooling=pooling)  # type: ignore[arg-type]
    x, cotangent = volume("z", 1, 2, np.float64), np.array([[1.0, -0.5, 0.3]])
    forward = onnx.reference.ReferenceEvaluator(wrapped)
    got = single.reference(graphs.gradient(wrapped), image=x, cotangent=cotangent)["grad_image"]
    for index in np.random.default_rng(6).choice(x.size, 12, replace=False):
        step = 1e-5 * (np.arange(x.size) == index).reshape(x.shape)
        up, down = (forward.run(["logits"], {"image": x + s * step})[0] for s in (1, -1))
        slope = float((cotangent * (up - down)).sum()) / 2e-5
        assert abs(got.ravel()[index] - slope) < tolerances.RULE_FLOAT64 * float(np.abs(got).max())


def test_mean_probability_is_safe_for_large_logits() -> None:
    """Probabilities that are 0 in float32: the margin stays the log odds, and no gradient is NaN."""
    model = slice_model()
    for tensor in model.graph.initializer:
        if tensor.name in "va":
            tensor.CopyFrom(numpy_helper.from_array(300 * numpy_helper.to_array(tensor), tensor.name))
    x = volume("z", 1, 4)
    logits = each(model, slices_of(x, "z"), "logits").astype(np.float64)
    chance = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    expected = np.logaddexp.reduce(chance, axis=1) - np.log(4)
    assert expected.min() < -200
    wrapped = graphs.gradient(graphs.over_slices(model, pooling="mean_probability"))
    got = single.run(wrapped, image=x, cotangent=np.eye(CLASSES, dtype=np.float32)[:1])
    assert np.abs(got["logits"] - expected).max() < tolerances.NET_FORWARD * np.abs(logits).max()
    assert np.isfinite(got["grad_image"]).all()


@pytest.mark.parametrize("opset", [13, 17, 21])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_old_and_new_opsets(opset: int, pooling: str) -> None:
    """Reductions take their axes as an attribute before opset 18."""
    model, x = slice_model(), volume("z", 1, 3)
    model.opset_import[0].version, model.ir_version = opset, 8 if opset < 21 else 10
    wrapped = graphs.gradcam(graphs.over_slices(model, pooling=pooling))  # type: ignore[arg-type]
    got = single.run(wrapped, image=x, cotangent=np.ones((1, CLASSES), np.float32))
    expected = single.pooled(each(model, slices_of(x, "z"), "logits"), pooling)
    assert single.relative(got["logits"], expected) < tolerances.NET_FORWARD
    assert got["cam"].shape == (3, *PLANE)


def test_names_shapes_and_open_planes() -> None:
    """Inner tensors keep their names, other outputs stay, and in-plane sizes may be open."""
    model = slice_model(plane=("h", "w"))
    model.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 4, "h", "w"]))
    wrapped = graphs.over_slices(model, axis="y")
    onnx.checker.check_model(wrapped, full_check=True)
    graphs.check_model(wrapped)
    assert [i.name for i in wrapped.graph.input] == ["image"]
    assert [o.name for o in wrapped.graph.output] == ["logits", "features"]
    stated = [d.dim_param or d.dim_value for d in wrapped.graph.input[0].type.tensor_type.shape.dim]
    assert stated == ["batch", CHANNELS, "h", "slices", "w"]
    assert wrapped.graph.output[1].type.tensor_type.shape.dim[0].dim_param not in ("batch", "")
    x = volume("y", 2, 3)
    got = single.run(wrapped, image=x)
    assert got["features"].shape == (6, 4, *PLANE)
    expected = single.pooled(each(model, slices_of(x, "y"), "logits"), "mean_logit")
    assert single.relative(got["logits"], expected) < tolerances.NET_FORWARD
    assert graphs.find_activations(wrapped)[0] == "features"


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("extra", TensorProto.FLOAT, [1]))


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (None, {"axis": "w"}, "axis: expected one of z, y, x, found 'w'"),
        (None, {"pooling": "median"}, "pooling: expected one of mean_logit"),
        (None, {"role": "judge"}, "role: expected one of"),
        (None, {"input": "picture"}, r"expected a model with the one input 'picture', found \['image'\]"),
        (None, {"output": "scores"}, r"expected a tensor named 'scores', found \['logits'\]"),
        (
            None,
            {"role": "segmenter"},
            r"output 'logits': expected a floating tensor \(batch, channels, height, width\)",
        ),
        (_fixed_batch, {}, "expected an open batch .* dynamic batch"),
        (_second_input, {}, r"found \['image', 'extra'\]"),
    ],
)
def test_refusals_name_what_was_found(damage: Any, options: dict[str, Any], message: str) -> None:
    model = slice_model()
    if damage is not None:
        damage(model)
    with pytest.raises(ModelError, match=message):
        graphs.over_slices(model, **options)


def test_a_volume_model_is_refused() -> None:
    with pytest.raises(ModelError, match="runs over slices already"):
        graphs.over_slices(graphs.over_slices(slice_model()))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_openvino_agrees(pooling: str) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    wrapped = graphs.gradcam(graphs.over_slices(slice_model(), axis="x", pooling=pooling))  # type: ignore[arg-type]
    x, cotangent = volume("x", 2, 3), np.eye(CLASSES, dtype=np.float32)[:2]
    expected, found = (run(wrapped, image=x, cotangent=cotangent) for run in (single.run, single.run_openvino))
    assert expected
    for name, value in expected.items():
        assert single.relative(found[name], value) < tolerances.NET_FORWARD


@pytest.mark.parametrize("kind", ["forward", "gradient", "gradcam", "segmenter"])
def test_tensorrt_compiles_it(kind: str) -> None:
    if os.environ.get("LAYER_FAST_TENSORRT") == "0" or not trt.installed():
        pytest.skip("TensorRT-RTX is not wanted or not installed (pip install tensorrt-rtx-cu13)")
    role = "segmenter" if kind == "segmenter" else "classifier"
    make = {"gradient": graphs.gradient, "gradcam": graphs.gradcam}.get(kind, lambda model: model)
    compiler = trt.Compiler()
    try:
        for pooling in POOLINGS if role == "classifier" else POOLINGS[:1]:
            wrapped = graphs.over_slices(slice_model(role), role=role, pooling=pooling)  # type: ignore[arg-type]
            assert compiler.complaints(make(wrapped), (1, CHANNELS, 6, *PLANE)) == []
    finally:
        compiler.close()
