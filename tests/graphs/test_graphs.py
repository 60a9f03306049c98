"""The graphs themselves: names kept, nothing duplicated, all opsets, several inputs, valid ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

import tolerances
from graphs.single import reference, relative, run
from layer_fast import graphs
from layer_fast.errors import ModelError

R = np.random.default_rng(4)
F = TensorProto.FLOAT
WEIGHTS = {
    "w1": R.standard_normal((4, 1, 3, 3)).astype(np.float32),
    "w2": R.standard_normal((6, 4, 3, 3)).astype(np.float32),
    "fc": R.standard_normal((6, 2)).astype(np.float32),
    "b": R.standard_normal(2).astype(np.float32),
}


def classifier(opset: int = 18, dims: Any = ("B", 1, 8, 8), extra: bool = False, kind: int = F) -> onnx.ModelProto:
    """Conv, Tanh, MaxPool, Conv, Sigmoid (features), mean, Gemm (logits); `extra` adds side branches."""
    n = helper.make_node
    nodes = [
        n("Conv", ["image", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        n("Tanh", ["c1"], ["t1"]),
        n("MaxPool", ["t1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        n("Conv", ["p1", "w2"], ["c2"]),
        n("Sigmoid", ["c2"], ["features"]),
        n("GlobalAveragePool", ["features"], ["g"]),
        n("Flatten", ["g"], ["f"]),
        n("Gemm", ["f", "fc", "b"], ["logits"]),
    ]
    outputs = [helper.make_tensor_value_info("logits", kind, ["B", 2])]
    if extra:
        nodes += [n("Hardmax", ["c2"], ["h"]), n("ArgMax", ["logits"], ["class"], axis=1, keepdims=0)]
        outputs += [helper.make_tensor_value_info("h", F, None), helper.make_tensor_value_info("class", 7, None)]
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    tensors = [numpy_helper.from_array(v.astype(dtype), k) for k, v in WEIGHTS.items()]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("image", kind, list(dims))], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 19 else 10)


def difference(x: np.ndarray, v: np.ndarray, cot: np.ndarray) -> float:
    """Slope of sum(cot * logits) along v: central difference in float64 by the reference implementation of onnx."""
    m = classifier(kind=TensorProto.DOUBLE)
    up, down = (reference(m, image=x.astype(np.float64) + s * 1e-6 * v)["logits"] for s in (1, -1))
    return float(((up - down) * cot).sum() / 2e-6)


@pytest.mark.parametrize("opset", range(13, 22))
@pytest.mark.parametrize("dims", [(2, 1, 8, 8), ("B", 1, "h", "w")])
def test_all_opsets(opset: int, dims: Any) -> None:
    m = classifier(opset, dims)
    x, cot, v = (R.standard_normal(s).astype(np.float32) for s in ((2, 1, 8, 8), (2, 2), (2, 1, 8, 8)))
    got = run(graphs.gradient(m), image=x, cotangent=cot)["grad_image"]
    assert float((got * v).sum()) == pytest.approx(difference(x, v, cot), rel=tolerances.RULE_FLOAT32)
    cam = run(graphs.gradcam(m), image=x, cotangent=cot)["cam"]
    features = run(graphs.gradient(m, wrt=["features"]), image=x, cotangent=cot)["grad_features"]
    assert cam.shape == (2, 2, 2) and features.shape == (2, 6, 2, 2)
    expected = WEIGHTS["fc"] @ cot.T / 4
    np.testing.assert_allclose(features, np.broadcast_to(expected.T[:, :, None, None], features.shape), rtol=1e-5)


def test_names_and_other_outputs_are_kept_and_left_alone() -> None:
    m = classifier(extra=True)
    before = m.SerializeToString()
    g = graphs.gradient(m)
    assert m.SerializeToString() == before
    assert [i.name for i in g.graph.input] == ["image", "cotangent"]
    assert [o.name for o in g.graph.output] == ["logits", "h", "class", "grad_image"]
    kinds = [n.op_type for n in g.graph.node]
    assert kinds.count("Hardmax") == 1 and kinds.count("Tanh") == 1 and kinds.count("Sigmoid") == 1
    dims = [d.dim_param or d.dim_value for d in g.graph.output[-1].type.tensor_type.shape.dim]
    assert dims == ["B", 1, 8, 8]


def test_maps_of_a_linear_head_are_the_same_by_both_definitions() -> None:
    m, x, cot = classifier(), R.standard_normal((3, 1, 8, 8)).astype(np.float32), np.eye(3, 2, dtype=np.float32)
    cam, hires, positive = (
        run(g, image=x, cotangent=cot)["cam"]
        for g in (graphs.gradcam(m), graphs.hirescam(m), graphs.gradcam(m, relu=True))
    )
    assert relative(hires, cam) < tolerances.NET_SMOOTH
    np.testing.assert_array_equal(positive, np.maximum(cam, 0))


@pytest.mark.parametrize("dims", [("B", 1, 8, 8), ("B", 1, "h", "w")])
def test_maps_of_all_classes_at_once(dims: Any) -> None:
    m, x = classifier(dims=dims), R.standard_normal((2, 1, 8, 8)).astype(np.float32)
    cams = run(graphs.class_maps(m), image=x)["cams"]
    assert cams.shape == (2, 2, 2, 2)
    for k in range(2):
        cam = run(graphs.gradcam(m), image=x, cotangent=np.eye(2, dtype=np.float32)[[k, k]])["cam"]
        assert relative(cams[:, k], cam) < tolerances.NET_SMOOTH


def test_maps_of_all_classes_need_a_linear_head() -> None:
    with pytest.raises(ModelError, match=r"'p1'.*expected a mean.*\(Conv\)"):
        graphs.class_maps(classifier(), activation="p1")
    m = classifier()
    m.graph.node[-1].output[0] = "before"
    m.graph.node.append(helper.make_node("Softmax", ["before"], ["logits"]))
    with pytest.raises(ModelError, match=r"one linear layer.*'Gemm', 'Softmax'"):
        graphs.class_maps(m)


def test_several_tensors_at_once_one_above_the_other() -> None:
    m, x, cot = classifier(), R.standard_normal((2, 1, 8, 8)).astype(np.float32), np.ones((2, 2), np.float32)
    both = run(graphs.gradient(m, wrt=["image", "c2"]), image=x, cotangent=cot)
    for name in ("image", "c2"):
        alone = run(graphs.gradient(m, wrt=[name]), image=x, cotangent=cot)[f"grad_{name}"]
        np.testing.assert_array_equal(both[f"grad_{name}"], alone)


def test_gradient_is_linear_in_the_cotangent_and_rows_are_independent() -> None:
    g, x = graphs.gradient(classifier()), R.standard_normal((3, 1, 8, 8)).astype(np.float32)
    cot = R.standard_normal((3, 2)).astype(np.float32)
    whole = run(g, image=x, cotangent=cot)["grad_image"]
    np.testing.assert_array_equal(run(g, image=x, cotangent=4 * cot)["grad_image"], 4 * whole)
    for i in range(3):
        row = run(g, image=x[i : i + 1], cotangent=cot[i : i + 1])["grad_image"]
        assert relative(row, whole[i : i + 1]) < tolerances.NET_SMOOTH


@pytest.mark.parametrize("make", [graphs.gradient, graphs.gradcam, graphs.hirescam, graphs.to_half])
def test_result_is_valid_and_fully_inferred(make: Any) -> None:
    g = make(classifier())
    checker.check_model(g, full_check=True)
    inferred = shape_inference.infer_shapes(g, strict_mode=True, data_prop=True)
    known = {i.name for i in [*inferred.graph.value_info, *inferred.graph.output]}
    assert all(o in known for n in g.graph.node for o in n.output if o)


def test_half_keeps_names_and_types_of_inputs_and_outputs() -> None:
    m = classifier()
    half = graphs.to_half(m)
    assert half.graph.input[0].type == m.graph.input[0].type and half.graph.output[0].name == "logits"
    kinds = {t.data_type for t in half.graph.initializer if t.dims and t.data_type in (1, 10)}
    assert kinds == {TensorProto.FLOAT16}
    x = R.standard_normal((2, 1, 8, 8)).astype(np.float32)
    assert relative(run(half, image=x)["logits"], run(m, image=x)["logits"]) < tolerances.HALF_FORWARD
    names = [n.name for n in half.graph.node]
    assert len(names) == len(set(names)) or "" in names
    outputs = [o for n in half.graph.node for o in n.output]
    assert len(outputs) == len(set(outputs))


def test_half_keeps_a_constant_that_does_not_fit_in_float32() -> None:
    m = classifier()
    m.graph.initializer[0].CopyFrom(numpy_helper.from_array(WEIGHTS["w1"] * 1e6, "w1"))
    x = R.standard_normal((2, 1, 8, 8)).astype(np.float32)
    assert relative(run(graphs.to_half(m), image=x)["logits"], run(m, image=x)["logits"]) < tolerances.HALF_FORWARD


def test_gradient_of_a_half_precision_graph() -> None:
    m, x = classifier(), R.standard_normal((2, 1, 8, 8)).astype(np.float32)
    cot = np.ones((2, 2), np.float32)
    exact, half = (run(graphs.gradient(g), image=x, cotangent=cot)["grad_image"] for g in (m, graphs.to_half(m)))
    assert relative(half, exact) < 0.1


def test_two_runs_build_the_same_bytes() -> None:
    m = classifier()
    assert graphs.gradient(m).SerializeToString() == graphs.gradient(m).SerializeToString()


def test_initializers_listed_as_inputs_and_constant_nodes() -> None:
    m = classifier()
    m.graph.input.append(helper.make_tensor_value_info("w1", F, [4, 1, 3, 3]))
    w2 = next(t for t in m.graph.initializer if t.name == "w2")
    m.graph.node.insert(0, helper.make_node("Constant", [], ["w2"], value=w2))
    m.graph.initializer.remove(w2)
    g = graphs.gradient(m)
    assert [i.name for i in g.graph.input] == ["image", "cotangent"]
    x, cot = R.standard_normal((1, 1, 8, 8)).astype(np.float32), np.ones((1, 2), np.float32)
    same = run(graphs.gradient(classifier()), image=x, cotangent=cot)["grad_image"]
    np.testing.assert_array_equal(run(g, image=x, cotangent=cot)["grad_image"], same)


def shapes_at_run_time() -> onnx.ModelProto:
    """Sizes taken from Shape as the older torch exporter writes them: crops, an index, a Reshape."""
    n = helper.make_node
    nodes = [
        n("Shape", ["image"], ["s"]),
        n("Gather", ["s", "two"], ["height"]),
        n("Div", ["height", "two"], ["half"]),
        n("Slice", ["image", "half", "height", "two"], ["low"]),
        n("Slice", ["image", "zero", "half", "two"], ["high"]),
        n("Mul", ["low", "high"], ["m"]),
        n("Gather", ["m", "half_index"], ["row"], axis=2),
        n("Gather", ["s", "zero"], ["batch"]),
        n("Concat", ["batch", "rest"], ["flat"], axis=0),
        n("Reshape", ["m", "flat"], ["r"]),
        n("ReduceSum", ["row", "last"], ["rs"], keepdims=0),
        n("MatMul", ["r", "ones"], ["t"]),
        n("Add", ["t", "rs"], ["logits"]),
    ]
    constants = {
        "two": np.array([2]),
        "zero": np.array([0]),
        "half_index": np.array(1),
        "rest": np.array([-1]),
        "last": np.array([2]),
        "ones": np.linspace(-1, 1, 24, dtype=np.float32).reshape(24, 1),
    }
    tensors = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    info = helper.make_tensor_value_info("image", F, ["B", 1, "h", "w"])
    out = helper.make_tensor_value_info("logits", F, ["B", 1])
    graph = helper.make_graph(nodes, "g", [info], [out], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_sizes_computed_at_run_time() -> None:
    x, cot = R.standard_normal((2, 1, 8, 6)).astype(np.float32), np.array([[1.0], [-0.5]], np.float32)
    got = run(graphs.gradient(shapes_at_run_time()), image=x, cotangent=cot)["grad_image"]
    slope = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 1, 4, 6).repeat(2, 0)
    slope[:, :, 1] += 1
    slope *= cot[:, :, None, None]
    expected = np.concatenate([slope * x[:, :, 4:], slope * x[:, :, :4]], 2)
    assert relative(got, expected) < tolerances.NET_SMOOTH


def test_padding_computed_at_run_time() -> None:
    n = helper.make_node
    nodes = [
        n("Shape", ["image"], ["s"]),
        n("Sub", ["s", "s"], ["none"]),
        n("Concat", ["none", "none"], ["nothing"], axis=0),
        n("Add", ["nothing", "amounts"], ["pads"]),
        n("Pad", ["image", "pads"], ["p"]),
        n("Mul", ["p", "p"], ["logits"]),
    ]
    amounts = numpy_helper.from_array(np.array([0, 0, 1, 0, 0, 0, 2, 1]), "amounts")
    info = helper.make_tensor_value_info("image", F, ["B", 1, "h", "w"])
    out = helper.make_tensor_value_info("logits", F, ["B", 1, "H", "W"])
    graph = helper.make_graph(nodes, "g", [info], [out], [amounts])
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = R.standard_normal((2, 1, 4, 3)).astype(np.float32)
    cot = R.standard_normal((2, 1, 7, 4)).astype(np.float32)
    got = run(graphs.gradient(m), image=x, cotangent=cot)["grad_image"]
    np.testing.assert_allclose(got, 2 * x * cot[:, :, 1:5, :3], rtol=1e-6)
