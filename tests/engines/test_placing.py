"""Where a run computes: the ladder's order, what is left out and why, and that nothing changes without a GPU."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

from layer_fast import engines
from layer_fast.engines import choice, cuda, placing
from layer_fast.engines.choice import Probe
from layer_fast.engines.cuda import Driver, Gpu
from layer_fast.engines.placing import Trial, Wanted, place
from layer_fast.engines.reasons import DeviceFull, Unusable
from layer_fast.errors import ConfigError, EngineError

ALL = {"onnxruntime": "1", "openvino": "2", "torch": "3", "tensorrt": "4"}
PROBE = Probe("a graph", b"", {"x": np.arange(4.0, dtype=np.float32)}, ("y",))
GPU = Driver((13, 0), (Gpu("card", (9, 0), 1 << 30),), None)
NONE = Driver((0, 0), (), Unusable("no_driver"))


class Machine:
    """Which engines fail on it, and what was tried."""

    def __init__(self) -> None:
        self.fails: dict[str, str] = {}
        self.errors: dict[str, float] = {}
        self.tried: list[tuple[str, str, str]] = []
        self.found = dict(ALL)
        self.driver = GPU

    def opened(self, name: str, probe: Probe, device: str, precision: str) -> Any:
        self.tried.append((name, device, precision))
        key = f"{name} on {device}"
        if key in self.fails:
            raise EngineError(self.fails[key])
        error = np.float32(self.errors.get(key, 0.0))

        class Opened:
            def run(self, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
                return [2 * feeds["x"] + error]

        return Opened()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    for name in (choice.VARIABLE, placing.DEVICE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for module in (engines, choice, placing):
        monkeypatch.setattr(module, "available_engines", lambda: made.found)
    monkeypatch.setattr(cuda, "driver", lambda: made.driver)
    monkeypatch.setattr(choice, "verify", lambda *_: None)
    monkeypatch.setattr(choice, "measure", lambda *_: {"chosen": "openvino", "why": "measured", "left_out": {}})
    return made


def placed(
    machine: Machine, engine: str = "auto", device: str = "auto", precision: str = "auto", kept: Any = None, **more: Any
) -> Any:
    return place(Wanted(engine, device, precision, 1), Trial(lambda: [PROBE], machine.opened, **more), kept)


def test_the_best_rung_that_works_is_taken(machine: Machine) -> None:
    found = placed(machine)
    assert (found["chosen"], found["device"], found["left_out"]) == ("tensorrt", "cuda", {})
    assert machine.tried == [("tensorrt", "cuda", "float16"), ("onnxruntime", "cpu", "float32")]


def test_the_order_of_the_ladder_and_its_reasons(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    order = ["tensorrt on cuda", "torch on cuda", "onnxruntime on cuda"]
    for k, name in enumerate(order):
        expected = [word.split()[0] for word in order][k]
        found = placed(machine)
        assert (found["chosen"], found["device"]) == (expected, "cuda")
        assert found["left_out"] == {word: f"reason {word}" for word in order[:k]}
        machine.fails[name] = f"reason {name}"
    found = placed(machine)
    assert found["chosen"] == "openvino" and "device" not in found
    assert found["why"] == "measured; on the CPU, for no engine runs on the GPU"
    assert list(found["left_out"]) == order
    assert "engine tensorrt on cuda is left out: reason tensorrt on cuda; next: torch on cuda" in caplog.text
    assert "next: the CPU" in caplog.text and "this run computes on the CPU with openvino" in caplog.text


def test_all_graphs_of_a_lane_are_open_together(machine: Machine) -> None:
    """One that fits alone may not fit beside the others."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = []

    def opened(name: str, probe: Probe, device: str, precision: str) -> Any:
        engine = machine.opened(name, probe, device, precision)
        if device == "cuda":
            alive.add(engine)
            most.append(len(alive))
        return engine

    place(Wanted("auto", "auto", "auto", 1), Trial(lambda: [PROBE] * 3, opened))
    gc.collect()
    assert most == [1, 2, 3] and not alive


def test_pools_are_emptied_before_every_try(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(placing, "give_back_unused", lambda: events.append("emptied"))
    rooms = iter([DeviceFull("a graph", "run", "4 inputs"), DeviceFull("a graph", "run", "2 inputs"), None])

    def opened(name: str, probe: Probe, device: str, precision: str) -> Any:
        events.append(f"{name} on {device}")
        if name == "tensorrt" and (full := next(rooms)):
            raise full
        return machine.opened(name, probe, device, precision)

    place(Wanted("auto", "auto", "auto", 1), Trial(lambda: [PROBE], opened, lambda: True))
    assert events == ["emptied", "tensorrt on cuda"] * 3 + ["onnxruntime on cpu"]


def test_an_engine_that_is_not_installed_is_left_out_with_what_to_type(machine: Machine) -> None:
    machine.found["tensorrt"] = "missing: TensorRT is not installed; pip install 'layer_fast[tensorrt]'"
    found = placed(machine)
    assert found["chosen"] == "torch" and "pip install" in found["left_out"]["tensorrt on cuda"]


def test_wrong_numbers_are_left_out(machine: Machine) -> None:
    machine.errors = {"tensorrt on cuda": 0.1, "torch on cuda": float("nan"), "onnxruntime on cuda": 1e-3}
    found = placed(machine)
    assert found["chosen"] == "onnxruntime"
    assert "a graph: output 'y' differs by" in found["left_out"]["tensorrt on cuda"]
    machine.errors = {"tensorrt on cuda": 0.02, "torch on cuda": 0.02, "onnxruntime on cuda": 0.02}
    assert placed(machine)["chosen"] == "tensorrt", "half precision may differ by more"
    assert placed(machine, precision="float32")["chosen"] == "openvino"


def test_without_a_gpu_auto_is_what_it_was(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.driver = NONE
    assert placed(machine) == {"chosen": "openvino", "why": "measured", "left_out": {}}
    assert machine.tried == [] and caplog.text == ""


def test_device_cuda_without_a_gpu_says_why_it_is_on_the_cpu(machine: Machine) -> None:
    machine.driver = NONE
    found = placed(machine, device="cuda")
    assert found["chosen"] == "openvino"
    assert all("no NVIDIA driver" in why for why in found["left_out"].values()) and len(found["left_out"]) == 3


def test_device_cpu_asks_nothing_of_the_gpu(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert placed(machine, device="cpu")["chosen"] == "openvino"
    monkeypatch.setenv(placing.DEVICE_VARIABLE, "cpu")
    assert placed(machine)["chosen"] == "openvino"
    assert machine.tried == []
    assert placed(machine, device="cuda")["chosen"] == "tensorrt", "the option overrides the variable"
    monkeypatch.setenv(placing.DEVICE_VARIABLE, "gpu")
    with pytest.raises(ConfigError, match="LAYER_FAST_DEVICE: expected one of auto, cpu, cuda, got 'gpu'"):
        placed(machine)


def test_an_engine_that_is_asked_for_is_taken_or_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert placed(machine, "torch", "cuda")["why"] == "asked for"
    assert placed(machine, "onnxruntime")["chosen"] == "onnxruntime" and "device" not in placed(machine, "onnxruntime")
    machine.fails["tensorrt on cuda"] = "it says no"
    with pytest.raises(EngineError, match="engine 'tensorrt' on cuda: it says no; next: --engine torch --device cuda"):
        placed(machine, "tensorrt")
    monkeypatch.setenv(choice.VARIABLE, "tensorrt")
    with pytest.raises(EngineError, match="it says no"):
        placed(machine)
    machine.fails["onnxruntime on cuda"] = "nor this"
    with pytest.raises(EngineError, match="nor this; next: --device cpu"):
        placed(machine, "onnxruntime", "cuda")
    with pytest.raises(EngineError, match="engine 'openvino' runs on device 'cpu' only, got 'cuda'"):
        placed(machine, "openvino", "cuda")
    with pytest.raises(EngineError, match="engine 'tensorrt' runs on device 'cuda' only, got 'cpu'"):
        placed(machine, "tensorrt", "cpu")


def test_no_driver_names_what_to_type(machine: Machine) -> None:
    machine.driver = NONE
    with pytest.raises(EngineError, match=r"no NVIDIA driver on this machine .*nvidia-smi; next: --engine torch"):
        placed(machine, "tensorrt")


def test_the_engine_of_the_run_goes_on(machine: Machine) -> None:
    kept = {"chosen": "torch", "device": "cuda", "why": "measured"}
    assert placed(machine, kept=kept) == kept
    assert placed(machine, kept={"chosen": "onnxruntime", "why": "measured"})["chosen"] == "onnxruntime"
    machine.fails["torch on cuda"] = "no"
    with pytest.raises(EngineError, match="this run used engine 'torch' on cuda, which does not run here: no; or name"):
        placed(machine, kept=kept)
    assert placed(machine, device="cpu", kept=kept)["chosen"] == "openvino", "another device is another choice"


def test_precisions(machine: Machine) -> None:
    assert placed(machine, precision="bfloat16")["chosen"] == "openvino"
    with pytest.raises(EngineError, match="precision 'bfloat16' is the CPU's, got device 'cuda'"):
        placed(machine, device="cuda", precision="bfloat16")
    for wanted in ({"device": "cpu"}, {"engine": "torch", "device": "cuda"}):
        with pytest.raises(EngineError, match="precision 'mixed': only engine 'tensorrt' computes in it"):
            placed(machine, precision="mixed", **wanted)
    assert [engines.graph_precision("mixed", kind) for kind in ("forward", "gradcam", "gradient")] == [
        "float16", "float16", "float32",
    ]  # fmt: skip


class Library:
    """libcuda with two cards, by the driver's own calls."""

    status = 0
    count = 2

    def cuInit(self, flags: int) -> int:
        return self.status

    def cuDriverGetVersion(self, out: Any) -> int:
        out._obj.value = 12080
        return 0

    def cuDeviceGetCount(self, out: Any) -> int:
        out._obj.value = self.count
        return 0

    def cuDeviceGet(self, out: Any, index: int) -> int:
        out._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = f"card {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, out: Any, device: Any) -> int:
        out._obj.value = 80 << 30
        return 0

    def cuDeviceGetAttribute(self, out: Any, attribute: int, device: Any) -> int:
        out._obj.value = {75: 8, 76: 9}[attribute]
        return 0


def test_the_driver_is_asked() -> None:
    found = cuda.ask(Library)
    assert found.cuda == (12, 8) and found.missing is None
    assert found.gpus == (Gpu("card 0", (8, 9), 80 << 30), Gpu("card 1", (8, 9), 80 << 30))
    assert found.gpus[0].capability == "8.9"


def test_a_driver_without_a_gpu_and_no_driver() -> None:
    broken, empty = Library(), Library()
    broken.status, empty.count = 100, 0

    def gone() -> Any:
        raise OSError("libcuda.so.1: cannot open shared object file")

    for load, words in ((lambda: broken, "cuInit gives error 100"), (lambda: empty, "counts 0"), (gone, "no NVIDIA")):
        found = cuda.ask(load)
        assert found.gpus == () and words in str(found.missing)


def test_every_refusal_of_the_driver_is_named() -> None:
    for name in ("cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceTotalMem_v2", "cuDeviceGetAttribute"):
        library = Library()
        call = getattr(library, name)

        def refuses(*arguments: Any, call: Any = call) -> int:
            call(*arguments)
            return 999

        refuses.__name__ = name
        setattr(library, name, refuses)
        assert f"{name} gives error 999" in str(cuda.ask(lambda library=library: library).missing), name


def test_a_refusal_is_raised_anew_each_time(machine: Machine) -> None:
    """The driver's answer is kept for ever: the frames that a raised exception goes through must not be."""
    machine.driver = NONE
    for _ in range(2):
        with pytest.raises(Unusable, match="no NVIDIA driver") as error:
            cuda.first_gpu()
        assert error.value.code == "no_driver"
    assert NONE.missing is not None and NONE.missing.__traceback__ is None


@pytest.mark.parametrize("made", [Unusable("no_gpu", why="none"), DeviceFull("a graph", "run", "9 GiB")])
def test_errors_of_engines_cross_processes(made: EngineError) -> None:
    found = pickle.loads(pickle.dumps(made))  # noqa: S301  (what multiprocessing does)
    assert type(found) is type(made) and str(found) == str(made)
    assert found.code == made.code  # type: ignore[attr-defined]
