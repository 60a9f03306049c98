"""ONNX Runtime's CUDA provider: refusals of the real library here, device pointers with an emulated session."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import tiny
from engines.gpu import Emulated, emulate
from layer_fast.engines import open_engine
from layer_fast.engines.onnxruntime import OnnxRuntimeEngine
from layer_fast.engines.reasons import DeviceFull, Unusable
from layer_fast.errors import EngineError

MODEL = tiny.classifier(1)
IMAGE = np.random.default_rng(0).random((3, 1, *tiny.GRID), np.float32)
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def expected() -> np.ndarray:
    return open_engine("onnxruntime", MODEL, threads=1, label="cpu").run({"image": IMAGE}, ("logits",))[0]


class Value:
    """A result in "device" memory."""

    def __init__(self, held: np.ndarray) -> None:
        self.held = np.ascontiguousarray(held)

    def data_type(self) -> str:
        return "tensor(float)"

    def shape(self) -> list[int]:
        return list(self.held.shape)

    def data_ptr(self) -> int:
        return int(self.held.ctypes.data)


class Binding:
    def __init__(self) -> None:
        self.inputs: dict[str, tuple[Any, ...]] = {}
        self.outputs: list[str] = []
        self.values: list[Value] = []
        self.waited = False

    def bind_input(self, name: str, device: str, index: int, dtype: Any, shape: Any, pointer: int) -> None:
        self.inputs[name] = (device, index, np.dtype(dtype), tuple(shape), pointer)

    def bind_output(self, name: str, device: str, index: int) -> None:
        self.outputs.append(name)

    def synchronize_outputs(self) -> None:
        self.waited = True

    def get_outputs(self) -> list[Value]:
        assert self.waited
        return self.values


class Session:
    """The real session on the CPU that says it is on a GPU."""

    made: list[Session] = []  # noqa: RUF012
    providers = (CUDA, CPU)
    full = False

    def __init__(self, model: bytes, options: Any, providers: list[Any]) -> None:
        self.real = REAL(model, options, providers=[CPU])
        self.asked, self.bindings = providers, []
        Session.made.append(self)

    def get_providers(self) -> list[str]:
        return list(self.providers)

    def get_inputs(self) -> Any:
        return self.real.get_inputs()

    def run(self, names: list[str], feeds: dict[str, Any]) -> Any:
        if self.full:
            raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer")
        return self.real.run(names, feeds)

    def io_binding(self) -> Binding:
        self.bindings.append(Binding())
        return self.bindings[-1]

    def run_with_iobinding(self, binding: Binding) -> None:
        feeds = {}
        for name, (_, _, _, shape, pointer) in binding.inputs.items():
            count = int(np.prod(shape))
            feeds[name] = np.ctypeslib.as_array((ctypes.c_float * count).from_address(pointer)).reshape(shape)
        binding.values = [Value(found) for found in self.real.run(binding.outputs, feeds)]


REAL = onnxruntime.InferenceSession


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(Session, "providers", (CUDA, CPU))
    monkeypatch.setattr(Session, "full", False)
    Session.made.clear()
    return emulate(monkeypatch, tmp_path / "cache")


def opened() -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(MODEL, label="the graph", device="cuda")


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has the provider")
def test_a_library_without_the_provider_says_what_to_type() -> None:
    with pytest.raises(
        Unusable, match=r"no CUDAExecutionProvider .*CPUExecutionProvider.; pip install onnxruntime-gpu"
    ):
        opened()


def test_a_provider_that_does_not_start_is_not_replaced_by_the_cpu(
    gpu: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "providers", (CPU,))
    with pytest.raises(Unusable, match="could not start its CUDAExecutionProvider and would compute on the CPU"):
        opened()


def test_what_the_session_is_asked(gpu: Emulated) -> None:
    assert opened().device == "cuda"
    (session,) = Session.made
    assert session.asked == [(CUDA, {"device_id": 0, "use_tf32": 0}), CPU]


def test_arrays_on_the_gpu_go_by_pointer(gpu: Emulated) -> None:
    engine, cupy = opened(), gpu.cupy
    given = cupy.asarray(IMAGE)  # type: ignore[attr-defined]
    gpu.machine.copies.clear()
    (found,) = engine.run({"image": given}, ("logits",))
    (binding,) = Session.made[0].bindings
    assert binding.inputs == {"image": ("cuda", 0, np.dtype("f4"), IMAGE.shape, given.data.ptr)}
    assert gpu.machine.copies == [] and type(found).__module__ == "cupy"
    np.testing.assert_allclose(found.get(), expected(), rtol=1e-6)
    with pytest.raises(EngineError, match="input 'image' does not fit"):
        engine.run({"image": given[:, :, 1:]}, ("logits",))


def test_numpy_goes_as_ever_and_a_full_gpu_says_so(gpu: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = opened()
    np.testing.assert_allclose(engine.run({"image": IMAGE}, ("logits",))[0], expected(), rtol=1e-6)
    monkeypatch.setattr(Session, "full", True)
    with pytest.raises(DeviceFull, match="not enough GPU memory to run"):
        engine.run({"image": IMAGE}, ("logits",))


def test_the_real_library_has_what_is_used() -> None:
    for owner, names in (
        (onnxruntime.IOBinding, ("bind_input", "bind_output", "synchronize_outputs", "get_outputs")),
        (onnxruntime.OrtValue, ("data_type", "shape", "data_ptr")),
        (REAL, ("io_binding", "run_with_iobinding", "get_providers")),
    ):
        assert [name for name in names if not hasattr(owner, name)] == []
