"""The shipped models through every engine: the same numbers, whatever the graph."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast.config import make_config
from layer_fast.engines import available_engines, open_engine
from layer_fast.engines.choice import relative_l2
from layer_fast.errors import EngineError
from layer_fast.models import ModelPackage, load_models
from layer_fast.steps.compiled import compiled

ENGINES = [
    pytest.param(name, marks=pytest.mark.skipif(found.startswith("missing"), reason=f"engine {name} is {found}"))
    for name, found in available_engines().items()
]
OUTPUTS = {"forward": None, "gradcam": "cam", "hirescam": "cam", "gradient": "grad_image"}


@pytest.fixture(scope="module")
def models() -> dict[str, ModelPackage]:
    held = load_models("reference")
    assert held.segmenter is not None
    return {"segmenter": held.segmenter, **{setup: held.classifiers[setup][0] for setup in held.classifiers}}


def feeds(package: ModelPackage, kind: str, count: int) -> dict[str, np.ndarray]:
    shape = (count, len(package.manifest.channels), *package.manifest.grid_for((6, 6, 6)))
    image = np.random.default_rng(4).random(shape, np.float32)
    cotangent = {} if kind == "forward" else {"cotangent": np.ones((count, 1), np.float32)}
    return {package.manifest.input: image, **cotangent}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "kind"), [("segmenter", "forward"), ("both", "forward"), ("both", "gradcam"),
                                            ("both", "hirescam"), ("both", "gradient")])  # fmt: skip
def test_every_engine_gives_the_same(models: dict[str, ModelPackage], engine: str, name: str, kind: str) -> None:
    package = models[name]
    given = feeds(package, kind, 2)
    output = OUTPUTS[kind] or package.manifest.output
    model = compiled(package, kind, make_config().target)
    (got,), (expected,) = (
        open_engine(e, model, threads=1, label=name).run(given, (output,)) for e in (engine, "onnxruntime")
    )
    assert got.dtype == np.float32 and got.shape == expected.shape
    bound = tolerances.NET_KINKED if kind == "gradient" else tolerances.ENGINE_PAIR
    assert relative_l2(got, expected) < bound


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_of_any_size_and_the_same_call_twice(models: dict[str, ModelPackage], engine: str) -> None:
    package = models["bmode"]
    opened = open_engine(engine, compiled(package, "forward", "margin"), threads=1, label="bmode")
    given = feeds(package, "forward", 5)
    (whole,), (again,) = (opened.run(given, (package.manifest.output,)) for _ in range(2))
    assert whole.tobytes() == again.tobytes(), "the same call gives the same bits"
    (one,) = opened.run({k: v[3:4] for k, v in given.items()}, (package.manifest.output,))
    assert one.shape == (1, 2)
    assert relative_l2(one, whole[3:4]) < tolerances.ENGINE_PAIR
    held = whole.copy()
    opened.run({k: v * 0 for k, v in given.items()}, (package.manifest.output,))
    assert np.array_equal(whole, held), "a result is a copy, not a view of a buffer that the next call writes to"


@pytest.mark.parametrize("engine", ENGINES)
def test_wrong_feeds_are_named(models: dict[str, ModelPackage], engine: str) -> None:
    package = models["bmode"]
    opened = open_engine(engine, package.model_bytes, threads=1, label="the graph")
    image = feeds(package, "forward", 1)["image"]
    wrong = [{}, {"picture": image}, {"image": image.astype(np.float64)}, {"image": image[:, :, 1:]},
             {"image": image[0]}, {"image": image, "more": image}]  # fmt: skip
    for given in wrong:
        with pytest.raises(EngineError) as error:
            opened.run(given, ("logits",))
        assert "the graph: " in str(error.value) and "expected" in str(error.value), "names the graph"
    with pytest.raises(EngineError, match=r"the graph: .*got image float64\[1, 1, "):
        opened.run(wrong[2], ("logits",))
    with pytest.raises(EngineError, match="nothing_of_that_name"):
        opened.run({"image": image}, ("nothing_of_that_name",))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_graph_is_refused(engine: str) -> None:
    with pytest.raises(EngineError, match="the graph: "):
        open_engine(engine, b"\x08no graph", threads=1, label="the graph")
