"""The TensorRT engine against emulated libraries: what is asked of them, and that the numbers come out right."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from engines.gpu import CARD, Emulated, emulate
from layer_fast.engines import Sizes, cuda, engine_facts, open_engine
from layer_fast.engines.reasons import DeviceFull, Unusable
from layer_fast.engines.tensorrt import TensorRtEngine
from layer_fast.errors import DeviceError, EngineError

SIZES = Sizes(usual=4, largest=8, grid=tiny.GRID)
MODEL = tiny.classifier(1)


@pytest.fixture(params=[True, False], ids=["rtx", "full"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    return emulate(monkeypatch, tmp_path / "cache", rtx=request.param)


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    return emulate(monkeypatch, tmp_path / "cache")


def opened(**more: Any) -> TensorRtEngine:
    return TensorRtEngine(MODEL, label="the graph", sizes=SIZES, **more)


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, *tiny.GRID), np.float32)


def expected(image: np.ndarray) -> np.ndarray:
    (logits,) = open_engine("onnxruntime", MODEL, threads=1, label="cpu").run({"image": image}, ("logits",))
    return logits


def test_what_the_builder_is_asked(gpu: Emulated) -> None:
    opened()
    fake = gpu.tensorrt
    assert fake.named("create_network") == [(1 << 1,)], "strongly typed"
    assert [flag.name for (flag,) in fake.named("clear_flag")] == ["TF32"]
    shape = (1, *tiny.GRID)
    assert fake.named("set_shape") == [("image", (1, *shape), (4, *shape), (8, *shape))]
    assert fake.named("set_compute_capability") == ([("SM86", 0)] if fake.rtx else [])


def test_a_capability_without_a_target_gets_a_portable_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = emulate(monkeypatch, tmp_path / "cache", gpu=cuda.Gpu("Hopper", (9, 0), 1 << 30))
    opened()
    assert gpu.tensorrt.named("set_compute_capability") == []


def test_half_precision_is_in_the_graph_and_nowhere_else(rtx: Emulated) -> None:
    import onnx

    opened(precision="float16")
    full, half = opened(precision="float32")._loaded.recipe.model, opened(precision="float16")._loaded.recipe.model
    kinds = {t.data_type for t in onnx.load_from_string(half).graph.initializer}
    assert full == MODEL and onnx.TensorProto.FLOAT16 in kinds
    assert [i.type.tensor_type.elem_type for i in onnx.load_from_string(half).graph.input] == [onnx.TensorProto.FLOAT]
    with pytest.raises(EngineError, match="expected one of float32, float16, got 'int8'"):
        opened(precision="int8")


def test_numpy_in_numpy_out_by_pinned_memory(gpu: Emulated) -> None:
    engine, image = opened(), images(3)
    (first,) = engine.run({"image": image}, ("logits",))
    np.testing.assert_allclose(first, expected(image), rtol=1e-6)
    assert gpu.machine.copies == [("upload", image.nbytes), ("download", first.nbytes)]
    kept = first.copy()
    engine.run({"image": images(3, 1)}, ("logits",))
    assert np.array_equal(first, kept), "a result is a copy, not the staging buffer"
    (stream, addresses), *_ = gpu.tensorrt.named("execute")
    assert stream in gpu.machine.streams and stream != 0, "a stream of its own"
    assert set(addresses) == {"image", "logits"}


def test_arrays_on_the_gpu_are_not_copied(gpu: Emulated) -> None:
    cupy: Any = gpu.cupy
    engine, image = opened(), images(4)
    given = cupy.asarray(image)
    gpu.machine.copies.clear()
    (found,) = engine.run({"image": given}, ("logits",))
    assert isinstance(found, cupy.ndarray) and gpu.machine.copies == []
    np.testing.assert_allclose(found.get(), expected(image), rtol=1e-6)
    stream, addresses = gpu.tensorrt.named("execute")[-1]
    assert addresses == {"image": given.data.ptr, "logits": found.data.ptr}
    own, other = f"{stream:#x}", "0x0"
    assert gpu.machine.events == [f"{own} waits for {other}", f"{other} waits for {own}"], "ordered, without the host"


def test_nothing_is_read_or_given_back_before_it_is_there(gpu: Emulated) -> None:
    """On a GPU that does its work as late as it may: staged memory is reused between calls, results come in streams."""
    cupy: Any = gpu.cupy
    gpu.machine.late = True
    engine = opened()
    for seed in range(4):
        image = images(2, seed)
        (found,) = engine.run({"image": image}, ("logits",))
        np.testing.assert_allclose(found, expected(image), rtol=1e-6)
    for seed in range(4):
        image, given = images(4, seed), cupy.empty((4, 1, *tiny.GRID), np.float32)
        cupy.cuda.get_current_stream().give(partial(given.__setitem__, ..., cupy.asarray(image)))  # an input still made
        (found,) = engine.run({"image": given}, ("logits",))
        gpu.machine.streams[engine._stream(engine._own).pointer].catch_up()  # the engine's stream comes first
        np.testing.assert_allclose(found.get(), expected(image), rtol=1e-6)


def test_a_call_that_fails_leaves_nothing_under_way(rtx: Emulated) -> None:
    """The pinned memory that an upload reads may go with the engine."""
    cupy: Any = rtx.cupy
    rtx.machine.late = True
    rtx.tensorrt.says["run"] = "the kernel is not there"
    engine = opened()
    with pytest.raises(EngineError, match="could not run: ERROR: the kernel is not there"):
        engine.run({"image": images(2)}, ("logits",))
    own = engine._stream(engine._own).pointer
    assert rtx.machine.events[-1] == f"host waits for {own:#x}" and not rtx.machine.streams[own].waiting
    with pytest.raises(EngineError, match="could not run"):
        engine.run({"image": cupy.asarray(images(8))[::2]}, ("logits",))
    assert rtx.machine.events[-1] == f"0x0 waits for {own:#x}", "its contiguous copy goes back to the current stream"


def test_an_array_that_is_not_contiguous_is_copied_on_the_gpu(rtx: Emulated) -> None:
    cupy: Any = rtx.cupy
    image = images(4)
    (found,) = opened().run({"image": cupy.asarray(images(8))[::2]}, ("logits",))
    np.testing.assert_allclose(found.get(), expected(images(8)[::2]), rtol=1e-6)
    with pytest.raises(EngineError, match="expected arrays of one library, got cupy, numpy"):
        opened().run({"image": image, "more": cupy.asarray(image)}, ("logits",))


def test_cuda_graphs(gpu: Emulated) -> None:
    """TensorRT-RTX is told to record by itself; full TensorRT is recorded where the addresses come again."""
    engine = opened()
    for seed in range(4):
        image = images(2, seed)
        (found,) = engine.run({"image": image}, ("logits",))
        np.testing.assert_allclose(found, expected(image), rtol=1e-6)
    launched = [event for event in gpu.machine.events if event.startswith("graph")]
    if gpu.tensorrt.rtx:
        assert [strategy.name for (strategy,) in gpu.tensorrt.named("context")] == ["WHOLE_GRAPH_CAPTURE"]
        assert launched == [] and len(gpu.tensorrt.named("execute")) == 4
    else:
        assert gpu.tensorrt.named("context") == [(None,)]
        assert len(launched) == 3 and len(gpu.tensorrt.named("execute")) == 2, "one plain call, one recorded"
    engine.run({"image": images(5)}, ("logits",))
    assert len(gpu.tensorrt.named("context")) == 2, "another shape is another context"


def test_contexts_are_bounded(rtx: Emulated) -> None:
    engine = opened()
    for count in (1, 2, 3, 4, 5, 1):
        image = images(count)
        np.testing.assert_allclose(engine.run({"image": image}, ("logits",))[0], expected(image), rtol=1e-6)
    assert len(engine._bound) == 3 and len(rtx.tensorrt.named("context")) == 6


def test_activations_lie_in_the_librarys_pool_and_contexts_share_them(gpu: Emulated) -> None:
    """As many bytes as the shapes of a call need; a context keeps what it was lent, for its recorded graphs have it."""
    cupy: Any = gpu.cupy
    engine = opened()
    for count in (2, 4, 3, 2):
        image = images(count)
        (found,) = engine.run({"image": cupy.asarray(image)}, ("logits",))
        np.testing.assert_allclose(found.get(), expected(image), rtol=1e-6)
    (first, small), (second, large), (third, same) = gpu.tensorrt.named("lend")
    assert (small, large, same) == (2000, 4000, 4000) and first != second == third


def test_without_an_answer_the_largest_batch_of_the_profile_decides(gpu: Emulated) -> None:
    gpu.tensorrt.tells = False
    opened().run({"image": images(2)}, ("logits",))
    assert [size for _, size in gpu.tensorrt.named("lend")] == [8000]


def test_a_graph_without_activations_is_lent_none(gpu: Emulated) -> None:
    gpu.tensorrt.item_bytes = 0
    opened().run({"image": images(2)}, ("logits",))
    assert gpu.tensorrt.named("lend") == [(0, 0)]


@pytest.mark.parametrize("version", ["8.6.1", "10.0.1"])
def test_a_library_that_is_too_old_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    emulate(monkeypatch, tmp_path / "cache", rtx=False, version=version)
    with pytest.raises(Unusable, match=f"TensorRT {version} is too old, 10.1 is the oldest; pip install --upgrade"):
        opened()


class Waiting:
    waited = False

    def synchronize(self) -> None:
        self.waited = True


def test_before_a_context_goes_everything_that_was_given_to_the_gpu_has_ended(rtx: Emulated) -> None:
    """It may have been given to the stream of another library than the one that asks for room."""
    engine, other = opened(), Waiting()
    for count in (1, 2, 3):
        engine.run({"image": images(count)}, ("logits",))
    engine._streams["torch"] = other  # type: ignore[assignment]
    engine.run({"image": images(4)}, ("logits",))
    assert other.waited


def test_lanes_make_their_contexts_one_after_the_other(rtx: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    held, inside, most = opened()._loaded, [], []

    def slowly(*_: Any) -> object:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return object()

    monkeypatch.setattr(held.engine, "create_execution_context", slowly)
    with ThreadPoolExecutor(3) as lanes:
        list(lanes.map(lambda _: held.context(), range(3)))
    assert most == [1, 1, 1]


def test_lanes_share_one_engine(rtx: Emulated) -> None:
    first, second = opened(), opened()
    assert first._loaded is second._loaded
    assert len(rtx.tensorrt.named("deserialize")) == len(rtx.tensorrt.named("build")) == 1


def test_wrong_feeds_and_sizes_are_named(rtx: Emulated) -> None:
    engine = opened()
    with pytest.raises(EngineError, match=r"built for image \[1, 1, .* to \[8, 1, .*; got image \[9, 1"):
        engine.run({"image": images(9)}, ("logits",))
    with pytest.raises(EngineError, match=r"expected outputs of .'logits'., got 'nothing'"):
        engine.run({"image": images(1)}, ("nothing",))
    with pytest.raises(EngineError, match=r"the graph: input 'image' does not fit.*float64"):
        engine.run({"image": images(1).astype(np.float64)}, ("logits",))
    with pytest.raises(EngineError, match="expected an ONNX model"):
        TensorRtEngine(b"\x08no graph", label="the graph")


FULL = "Requested amount of GPU memory (9 GiB) could not be allocated: out of memory"


@pytest.mark.parametrize("place", ["build", "load", "context", "run"])
def test_a_full_gpu_says_so(rtx: Emulated, place: str) -> None:
    rtx.tensorrt.says[place] = FULL
    with pytest.raises(DeviceFull, match=r"not enough GPU memory to .*9 GiB.*lower scan_batch") as error:
        opened().run({"image": images(1)}, ("logits",))
    assert isinstance(error.value, DeviceError) and isinstance(error.value, EngineError)


def test_a_full_pool_says_so(rtx: Emulated) -> None:
    rtx.machine.full_after = 4
    with pytest.raises(DeviceFull, match=r"not enough GPU memory to run .Out of memory allocating"):
        opened().run({"image": images(1)}, ("logits",))


@pytest.mark.parametrize(
    ("bits", "code", "words"),
    [
        (2, "unsupported_capability", r"tensorrt_rtx 1\.7\.1 does not run on compute capability 8\.6 .*UNSUPPORTED_CC"),
        (4, "old_driver", r"driver serves CUDA 13\.0, which is too old for tensorrt_rtx 1\.7\.1.*update the driver"),
    ],
)
def test_the_library_says_that_an_engine_cannot_run_here(rtx: Emulated, bits: int, code: str, words: str) -> None:
    rtx.tensorrt.diagnostics = bits
    with pytest.raises(Unusable, match=words) as error:
        opened()
    assert error.value.code == code and rtx.tensorrt.named("deserialize") == []


def test_words_of_a_refusal(rtx: Emulated) -> None:
    rtx.tensorrt.says["load"] = "cudaError 35: CUDA driver version is insufficient for CUDA runtime version"
    with pytest.raises(Unusable, match="too old"):
        opened()
    rtx.tensorrt.says = {"build": "Error Code 4: no such layer"}
    with pytest.raises(EngineError, match="could not build the engine: ERROR: Error Code 4"):
        opened(precision="float16")
    rtx.tensorrt.says = {"parse": "x"}
    with pytest.raises(EngineError, match="TensorRT refused the graph"):
        opened(precision="float16")


def test_facts_name_library_and_card(rtx: Emulated) -> None:
    facts = engine_facts("tensorrt", 1, "mixed", "cuda")
    assert facts == {
        "engine": "tensorrt", "version": "tensorrt_rtx 1.7.1", "precision": "mixed", "threads": 1, "device": "cuda",
        "gpu": CARD.name, "compute_capability": "8.6",
    }  # fmt: skip
