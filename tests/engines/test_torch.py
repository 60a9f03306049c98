"""The torch engine: networks of the zoo, double precision, what it refuses, what it keeps."""

from __future__ import annotations

import weakref
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import tiny
import tolerances
from graphs import single, zoo
from layer_fast import graphs
from layer_fast.engines import open_engine
from layer_fast.errors import EngineError

torch = pytest.importorskip("torch", reason="the torch engine needs torch")
pytest.importorskip("onnxscript", reason="the zoo is exported with torch.onnx, which needs onnxscript")
from graphs import export  # noqa: E402  (imports torch)
from graphs.test_zoo import autograd, relative  # noqa: E402
from layer_fast.engines.torch import TorchEngine  # noqa: E402

FEW = ("resnet3d_bn", "resnet3d_gn_silu", "unet3d_in", "convnext2d")
NAMES = [n if n in FEW else pytest.param(n, marks=pytest.mark.zoo) for n in zoo.ZOO]


def run_both(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every output from the torch engine and from ONNX Runtime."""
    names = tuple(o.name for o in model.graph.output)
    data = model.SerializeToString()
    found, expected = (open_engine(e, data, threads=1, label=e).run(feeds, names) for e in ("torch", "onnxruntime"))
    return {name: (f, e) for name, f, e in zip(names, found, expected, strict=True)}


@pytest.mark.parametrize("name", NAMES)
def test_network_equals_onnx_runtime(name: str) -> None:
    """Forward, gradient, both maps, all classes' maps and half precision, in the types of the graph."""
    pytest.importorskip(zoo.ZOO[name].needs)
    model = export.exported(name)
    image = export.network(name)[1].numpy()
    (logits, expected), *_ = run_both(model, {"image": image}).values()
    assert relative(logits, expected) < tolerances.ENGINE_PAIR
    cotangent = np.random.default_rng(3).standard_normal(logits.shape).astype(np.float32)
    kinked = tolerances.NET_SMOOTH if zoo.ZOO[name].smooth else tolerances.NET_KINKED
    made = [graphs.gradient(model)]
    made += [graphs.gradcam(model), graphs.hirescam(model)] if zoo.ZOO[name].layer else []
    for graph in made:
        for found, wanted in run_both(graph, {"image": image, "cotangent": cotangent}).values():
            assert found.dtype == wanted.dtype
            assert relative(found, wanted) < kinked
    for found, wanted in run_both(graphs.to_half(model), {"image": image}).values():
        assert relative(found, wanted) < tolerances.ENGINE_PAIR_HALF


@pytest.mark.parametrize("name", NAMES)
def test_double_precision_equals_autograd(name: str) -> None:
    """The reference: gradient and maps in float64 against autograd in float64, kinks included."""
    pytest.importorskip(zoo.ZOO[name].needs)
    model = export.exported(name)
    tap, x = export.network(name)
    expected = autograd(tap, x, seed=3)
    feeds = {"image": x.numpy(), "cotangent": expected["cotangent"].astype(np.float32)}
    kinds = {"grad_image": graphs.gradient(model)}
    if "cam" in expected:
        kinds |= {"cam": graphs.gradcam(model), "hires": graphs.hirescam(model)}
    for kind, graph in kinds.items():
        engine = TorchEngine(graph.SerializeToString(), label=name, dtype=torch.float64)
        (got,) = engine.run(feeds, ("cam" if kind == "hires" else kind,))
        assert got.dtype == np.float64
        assert relative(got, expected[kind]) < tolerances.TORCH_FLOAT64, kind


def test_maps_of_all_classes() -> None:
    image = export.network("resnet3d_bn")[1].numpy()
    found, wanted = run_both(graphs.class_maps(export.exported("resnet3d_bn")), {"image": image})["cams"]
    assert relative(found, wanted) < tolerances.ENGINE_PAIR


@pytest.mark.parametrize("stated", [False, True])
@pytest.mark.parametrize("kind", ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"])
def test_a_reduction_over_no_axes_takes_each_element_alone(kind: str, stated: bool) -> None:
    x = np.random.default_rng(3).uniform(0.5, 2, (2, 3)).astype(np.float32)
    constants = [np.zeros(0, np.int64)] if stated else []
    model = single.model(f"Reduce{kind}", x, constants, attributes={"noop_with_empty_axes": 1, "keepdims": 0}, opset=18)
    found, wanted = run_both(model, {"x": x})["y"]
    np.testing.assert_allclose(found, wanted, tolerances.ENGINE_PAIR)


def test_global_lp_pool() -> None:
    """The one operator without a case in the onnx package."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    found, wanted = run_both(single.model("GlobalLpPool", x, attributes={"p": 3}, opset=13), {"x": x})["y"]
    np.testing.assert_allclose(found, wanted, tolerances.ENGINE_PAIR)


@st.composite
def windows(draw: Any) -> tuple[str, tuple[int, ...], dict[str, Any]]:
    """A pool or convolution over one to three axes with any stride, dilation, padding and rounding of its size."""
    op = draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool", "Conv", "ConvTranspose"]))
    rank = draw(st.integers(1, 3))
    numbers = lambda low, high: draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))  # noqa: E731
    kernel, strides, dilations = numbers(1, 3), numbers(1, 3), numbers(1, 2)
    pads = [min(p, k - 1) for p, k in zip(numbers(0, 2) + numbers(0, 2), kernel * 2, strict=True)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}
    if op.endswith("Pool"):
        attributes["ceil_mode"] = draw(st.integers(0, 1))
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    if op == "ConvTranspose":
        attributes["output_padding"] = [draw(st.integers(0, n - 1)) for n in strides]
    return op, (2, 4, *numbers(5, 8)), attributes


@settings(max_examples=40, deadline=None, derandomize=True)
@given(windows())
def test_windows_equal_onnx_runtime(drawn: tuple[str, tuple[int, ...], dict[str, Any]]) -> None:
    op, shape, attributes = drawn
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(np.float32)
    constants = []
    if op.startswith("Conv"):
        attributes = {**attributes, "group": 2}
        filters = (6, 2) if op == "Conv" else (4, 3)
        constants = [rng.standard_normal((*filters, *attributes["kernel_shape"])).astype(np.float32),
                     rng.standard_normal(6).astype(np.float32)]  # fmt: skip
    found, wanted = run_both(single.model(op, x, constants, opset=19, attributes=attributes), {"x": x})["y"]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerances.ENGINE_PAIR * np.abs(wanted).max(initial=1.0))


def node_model(op: str, domain: str = "", **attributes: Any) -> bytes:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 2]) for n in "xy")
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node(op, ["r"], ["y"], "odd", domain=domain)]
    nodes[1].attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    graph = helper.make_graph(nodes, "g", [x], [y])
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (node_model("NonMaxSuppression"), "net: node 'odd' (NonMaxSuppression): the torch engine has no function"),
        (node_model("Relu", domain="my.ops"), "node 'odd' (Relu)"),
        (node_model("Elu", slope=2.0), "node 'odd' (Elu): attribute 'slope' is not supported"),
        (node_model("Cast", to=TensorProto.FLOAT8E5M2), "node 'odd' (Cast): element type FLOAT8E5M2"),
        (b"no model", "net: expected an ONNX model"),
    ],
)
def test_what_it_cannot_run_is_refused_at_load(model: bytes, words: str) -> None:
    with pytest.raises(EngineError) as error:
        TorchEngine(model, label="net")
    assert words in str(error.value)


def test_an_old_opset_is_refused() -> None:
    model = onnx.load_from_string(tiny.segmenter())
    model.opset_import[0].version = 11
    with pytest.raises(EngineError, match="expected opset 13 to 21, found 11"):
        TorchEngine(model.SerializeToString(), label="net")


def test_a_failing_node_is_named() -> None:
    model = single.model("Reshape", np.zeros((2, 3), np.float32), [np.array([4])], dims=["a", "b"])
    with pytest.raises(EngineError, match=r"'the_node' \(Reshape\): .*got torch.float32\[2, 3\]"):
        TorchEngine(model.SerializeToString()).run({"x": np.zeros((2, 3), np.float32)}, ("y",))


def test_no_device_is_made_up() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match="finds no CUDA device"):
            TorchEngine(tiny.segmenter(), device="cuda")


def test_tensors_go_in_and_come_out_uncopied() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    engine = TorchEngine(single.model("Identity", x).SerializeToString())
    tensor = torch.from_numpy(x)
    (out,) = engine.run_tensors({"x": tensor}, ("y",))
    assert out.data_ptr() == tensor.data_ptr() and not out.requires_grad
    (array,) = engine.run({"x": x}, ("y",))
    array[:] = -1
    assert x[0, 1] == 1, "NumPy results are copies"


def test_intermediate_tensors_are_freed_and_unwanted_nodes_not_run() -> None:
    """At any time of a chain of Relus no more than its two ends live; the branch that nobody asked for never runs."""
    x, y, z = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ("x", "y", "z"))
    names = ["x", *(f"t{i}" for i in range(8)), "y"]
    nodes = [helper.make_node("Relu", [a], [b], b) for a, b in pairwise(names)]
    nodes.append(helper.make_node("Neg", ["t3"], ["z"], "unwanted"))
    graph = helper.make_graph(nodes, "g", [x], [y, z])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    engine = TorchEngine(model.SerializeToString())
    alive: list[weakref.ref[Any]] = []
    most = []
    run_step = engine._program._run_step

    def watch(step: Any, values: dict[str, Any]) -> None:
        assert step.node.op == "Relu"
        run_step(step, values)
        alive.extend(weakref.ref(values[n]) for n in step.outputs)
        most.append(sum(r() is not None for r in alive))

    engine._program._run_step = watch  # type: ignore[method-assign]
    engine.run({"x": np.ones(4, np.float32)}, ("y",))
    assert len(most) == 9 and max(most) == 2


def test_constants_are_worked_out_once() -> None:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "xy")
    value = helper.make_tensor("value", TensorProto.FLOAT, [2], [1.0, 2.0])
    nodes = [helper.make_node("Constant", [], ["a"], value=value), helper.make_node("Exp", ["a"], ["b"]),
             helper.make_node("Mul", ["x", "b"], ["y"])]  # fmt: skip
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 18)])
    engine = TorchEngine(model.SerializeToString())
    assert [step.node.op for step in engine._program.steps] == ["Mul"]
    np.testing.assert_allclose(
        engine.run({"x": np.ones(2, np.float32)}, ("y",))[0], np.exp([1.0, 2.0]), tolerances.ENGINE_PAIR
    )


def test_threads_are_set_for_the_caller() -> None:
    before = torch.get_num_threads()
    try:
        engine = TorchEngine(tiny.classifier(1), threads=2)
        engine.run({"image": np.zeros((1, 1, *tiny.GRID), np.float32)}, ("logits",))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
