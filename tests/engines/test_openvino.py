"""What is OpenVINO's own: threads, lanes, precision, and that it neither writes files nor reports."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

import tiny
import tolerances
from graphs import zoo
from layer_fast import graphs
from layer_fast.engines import available_engines, open_engine
from layer_fast.engines.choice import relative_l2
from layer_fast.engines.untied import untied
from layer_fast.errors import EngineError

if available_engines()["openvino"].startswith("missing"):
    pytest.skip(f"openvino is {available_engines()['openvino']}", allow_module_level=True)
from layer_fast.engines.openvino import OpenVinoEngine, _runtime

IMAGE = np.random.default_rng(0).random((4, 1, *tiny.GRID), dtype=np.float32)


def has_bfloat16() -> bool:
    return "BF16" in _runtime().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_streams_and_pinning_are_as_told(threads: int) -> None:
    compiled = OpenVinoEngine(tiny.classifier(1), threads=threads)._model
    assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_lanes_beside_each_other_give_the_same_bits() -> None:
    alone = OpenVinoEngine(tiny.classifier(1)).run({"image": IMAGE}, ("logits",))[0]

    def lane(_: int) -> list[bytes]:
        engine = OpenVinoEngine(tiny.classifier(1))
        return [engine.run({"image": IMAGE}, ("logits",))[0].tobytes() for _ in range(5)]

    with ThreadPoolExecutor(3) as pool:
        found = [result for results in pool.map(lane, range(3)) for result in results]
    assert set(found) == {alone.tobytes()}


PAIRS = {
    "strided": [
        ("Conv", {"strides": [2, 2], "pads": [1] * 4}),
        ("ConvTranspose", {"strides": [2, 2], "pads": [1] * 4}),
    ],
    "transposed first": [("ConvTranspose", {"pads": [1] * 4}), ("Conv", {"pads": [1] * 4})],
    "linear": [("Gemm", {"transB": 1}), ("Gemm", {})],
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("constant", [False, True])
def test_a_weight_that_two_nodes_read_differently(pair: str, constant: bool) -> None:
    """The library itself gives wrong numbers here (2026.4.1), and gradients of strided layers are such graphs."""
    rng = np.random.default_rng(2)
    linear = pair == "linear"
    x = rng.standard_normal((64, 24) if linear else (2, 8, 6, 6)).astype(np.float32)
    weight = numpy_helper.from_array(rng.standard_normal((24, 24) if linear else (8, 8, 3, 3)).astype(np.float32), "w")
    nodes = [helper.make_node("Constant", [], ["w"], value=weight)] if constant else []
    names = ["x", "h", "y"]
    nodes += [helper.make_node(op, [names[i], "w"], [names[i + 1]], **a) for i, (op, a) in enumerate(PAIRS[pair])]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in (("x", ["n", *x.shape[1:]]),
                                                                              ("y", [None] * x.ndim))]  # fmt: skip
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [] if constant else [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    (got,), (expected,) = (
        open_engine(e, model, threads=1, label=e).run({"x": x}, ("y",)) for e in ("openvino", "onnxruntime")
    )
    assert relative_l2(got, expected) < tolerances.ENGINE_PAIR
    checker.check_model(untied(model))
    assert untied(untied(model)) == untied(model), "once is enough"


def test_weights_that_are_not_shared_are_left_alone() -> None:
    model = tiny.classifier(1)
    assert untied(model) is model


@pytest.mark.zoo
@pytest.mark.parametrize("name", list(zoo.ZOO))
def test_gradient_and_maps_of_every_network(name: str) -> None:
    pytest.importorskip("onnxscript", reason="the zoo is exported with torch.onnx, which needs onnxscript")
    pytest.importorskip(zoo.ZOO[name].needs)
    from graphs import export

    model = export.exported(name)
    image = export.network(name)[1].numpy()
    shape = export.run(model, image=image)["logits"].shape
    cotangent = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for graph in [graphs.gradient(model), *([graphs.gradcam(model)] if zoo.ZOO[name].layer else [])]:
        data, outputs = graph.SerializeToString(), tuple(o.name for o in graph.graph.output)
        feeds = {"image": image, "cotangent": cotangent}
        found, expected = (
            open_engine(e, data, threads=1, label=name).run(feeds, outputs) for e in ("openvino", "onnxruntime")
        )
        for output, a, b in zip(outputs, found, expected, strict=True):
            assert relative_l2(a, b) < tolerances.NET_KINKED, output


def test_bfloat16_computes_in_bfloat16_or_says_that_it_cannot() -> None:
    if has_bfloat16():
        full, reduced = (OpenVinoEngine(tiny.classifier(1), precision=p) for p in ("float32", "bfloat16"))
        a, b = (e.run({"image": IMAGE}, ("logits",))[0] for e in (full, reduced))
        assert 0 < np.abs(a - b).max() < 0.1
    else:
        with pytest.raises(EngineError, match=r"expected a CPU with bfloat16 .*use precision float32"):
            OpenVinoEngine(tiny.classifier(1), precision="bfloat16")


def test_other_engines_refuse_bfloat16() -> None:
    for name in ("onnxruntime", "torch"):
        with pytest.raises(EngineError, match=f"only engine 'openvino' computes in it, got engine '{name}'|missing"):
            open_engine(name, tiny.classifier(1), threads=1, label="g", precision="bfloat16")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_writes_nothing_and_loads_no_reporter(engine: str, tmp_path: Path) -> None:
    """Both libraries come with telemetry that is on unless it is turned off."""
    code = (
        f"import sys, tiny; from layer_fast.engines import open_engine;"
        f"open_engine({engine!r}, tiny.classifier(1), threads=1, label='g');"
        f"print([m for m in sys.modules if m.startswith('openvino_telemetry') and sys.modules[m] is not None])"
    )
    place = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"),
             "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | place
    tests = Path(tiny.__file__).parent
    environment["PYTHONPATH"] = os.pathsep.join([str(tests), str(tests.parent / "python")])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
