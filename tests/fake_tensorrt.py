"""TensorRT emulated: the classes and flags that the package uses, with the answers of ONNX Runtime on the CPU and a
list of every call. Engines are JSON that says what they were built from. Put it into sys.modules as "tensorrt_rtx"
or "tensorrt"."""

from __future__ import annotations

import ctypes
import enum
import json
import types
from typing import Any

import numpy as np
import onnx

from fake_cupy import Machine


class Flag(enum.IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(enum.IntEnum):
    TF32 = 7


class Severity(enum.IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


class Mode(enum.IntEnum):
    NONE, INPUT, OUTPUT = range(3)


class Validity(enum.IntEnum):
    INVALID, SUBOPTIMAL, VALID = range(3)


class Graphs(enum.IntEnum):
    DISABLED, WHOLE_GRAPH_CAPTURE = range(2)


class Allocation(enum.IntEnum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


Diagnostics = enum.IntEnum("Diagnostics", {"VERSION_MISMATCH": 1, "UNSUPPORTED_CC": 2, "OLD_CUDA_DRIVER": 4})
Capability = enum.IntEnum("Capability", {"NONE": 0, "CURRENT": 1, "SM86": 2, "SM120": 3})


class ILogger:
    Severity = Severity

    def log(self, severity: Severity, message: str) -> None: ...


class Fake:
    """The state of one emulated library. calls: (name, arguments). says: what goes wrong, by place. item_bytes: the
    activations of one input; tells: whether a context tells how many it needs for its shapes. room: contexts that
    can be made until the GPU is full."""

    def __init__(self, machine: Machine, *, rtx: bool = True, version: str = "1.7.1") -> None:
        self.machine, self.rtx, self.version = machine, rtx, version
        self.calls: list[tuple[Any, ...]] = []
        self.says: dict[str, str] = {}
        self.diagnostics = 0
        self.item_bytes, self.tells = 1000, True
        self.room: float = float("inf")

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]

    def module(self) -> types.ModuleType:
        made: Any = types.ModuleType("tensorrt_rtx" if self.rtx else "tensorrt")
        made.__version__ = self.version
        made.ILogger, made.NetworkDefinitionCreationFlag, made.BuilderFlag = ILogger, Flag, BuilderFlag
        made.TensorIOMode, made.ExecutionContextAllocationStrategy = Mode, Allocation
        made.nptype = lambda kind: kind
        made.Builder = lambda log: Builder(self, log)
        made.OnnxParser = lambda network, log: Parser(self, network)
        made.Runtime = lambda log: (RtxRuntime if self.rtx else Runtime)(self, log)
        if self.rtx:
            made.ComputeCapability, made.EngineValidity, made.CudaGraphStrategy = Capability, Validity, Graphs
            made.EngineInvalidityDiagnostics = Diagnostics
        return made  # type: ignore[no-any-return]


class Builder:
    def __init__(self, fake: Fake, log: Any) -> None:
        self.fake, self.log = fake, log

    def create_network(self, flags: int) -> types.SimpleNamespace:
        self.fake.calls.append(("create_network", flags))
        return types.SimpleNamespace(model=b"")

    def create_builder_config(self) -> Config:
        return Config(self.fake)

    def create_optimization_profile(self) -> Profile:
        return Profile(self.fake)

    def build_serialized_network(self, network: Any, config: Config) -> bytes | None:
        self.fake.calls.append(("build", len(network.model)))
        if "build" in self.fake.says:
            self.log.log(Severity.ERROR, self.fake.says["build"])
            return None
        profiles = [profile.shapes for profile in config.profiles]
        facts = {"model": network.model.hex(), "profiles": profiles, "version": self.fake.version}
        return json.dumps(facts).encode()


class Config:
    def __init__(self, fake: Fake) -> None:
        self.fake, self.profiles = fake, []
        self.num_compute_capabilities = 0

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.fake.calls.append(("clear_flag", flag))

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def set_compute_capability(self, capability: Capability, index: int) -> bool:
        self.fake.calls.append(("set_compute_capability", capability.name, index))
        return True


class Profile:
    def __init__(self, fake: Fake) -> None:
        self.fake, self.shapes = fake, {}

    def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
        self.fake.calls.append(("set_shape", name, low, usual, high))
        self.shapes[name] = [low, usual, high]


class Parser:
    num_errors = 0

    def __init__(self, fake: Fake, network: Any) -> None:
        self.fake, self.network = fake, network

    def parse(self, model: bytes) -> bool:
        self.network.model = bytes(model)
        return "parse" not in self.fake.says


class Runtime:
    def __init__(self, fake: Fake, log: Any) -> None:
        self.fake, self.log = fake, log

    def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
        self.fake.calls.append(("deserialize", bytes(data)))
        if "load" in self.fake.says:
            self.log.log(Severity.ERROR, self.fake.says["load"])
            return None
        return Engine(self.fake, json.loads(data), self.log)


class RtxRuntime(Runtime):
    def get_engine_validity(self, data: bytes) -> tuple[Validity, int]:
        self.fake.calls.append(("validity", bytes(data)))
        return (Validity.INVALID if self.fake.diagnostics else Validity.VALID), self.fake.diagnostics


class Engine:
    def __init__(self, fake: Fake, facts: dict[str, Any], log: Any) -> None:
        import onnxruntime

        self.fake, self.facts, self.log = fake, facts, log
        model = bytes.fromhex(facts["model"])
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        graph = onnx.load_from_string(model).graph
        constants = {tensor.name for tensor in graph.initializer}
        self.ins = [i.name for i in graph.input if i.name not in constants]
        self.names = [*self.ins, *(o.name for o in graph.output)]
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name in self.ins else Mode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return np.float32

    def get_device_memory_size_for_profile_v2(self, index: int) -> int:
        return max(high[0] for _, _, high in self.facts["profiles"][index].values()) * self.fake.item_bytes

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, config: Any = None) -> Context | None:
        self.fake.calls.append(("context", getattr(config, "cuda_graph_strategy", None)))
        assert getattr(config, "allocation", config) == Allocation.USER_MANAGED
        if "context" in self.fake.says or len(self.fake.named("context")) > self.fake.room:
            self.log.log(Severity.ERROR, self.fake.says.get("context", "out of memory"))
            return None
        return Context(self)


class RuntimeConfig:
    cuda_graph_strategy = Graphs.DISABLED
    allocation = Allocation.STATIC

    def set_execution_context_allocation_strategy(self, strategy: Allocation) -> None:
        self.allocation = strategy


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.fake = engine, engine.fake
        self.profile, self.shapes, self.addresses = 0, {}, {}
        self.lent = (0, 0)

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.fake.calls.append(("profile", index, stream))
        self.profile = index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self.engine.facts["profiles"][self.profile][name]
        self.shapes[name] = tuple(shape)
        return all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))

    def infer_shapes(self) -> list[str]:
        return [name for name in self.engine.ins if name not in self.shapes]

    def _needed(self) -> int:
        return max(shape[0] for shape in self.shapes.values()) * self.fake.item_bytes

    def update_device_memory_size_for_shapes(self) -> int:
        return self._needed() if self.fake.tells else 0

    def set_device_memory(self, memory: int, size: int) -> None:
        self.fake.calls.append(("lend", memory, size))
        self.lent = (memory, size)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        feeds = {k: np.zeros(shape, np.float32) for k, shape in self.shapes.items()}
        return tuple(self.engine.session.run([name], feeds)[0].shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        self.fake.calls.append(("execute", stream, dict(self.addresses)))
        if "run" in self.fake.says:
            self.engine.log.log(Severity.ERROR, self.fake.says["run"])
            return False
        shapes, addresses, (memory, size) = dict(self.shapes), dict(self.addresses), self.lent
        if size < self._needed():
            self.engine.log.log(Severity.ERROR, f"activations need {self._needed()} bytes, got {size}")
            return False

        def work() -> None:
            ctypes.memset(memory, 0xAB, self._needed())  # activations: whoever shares this memory must not mind
            feeds = {name: _memory(addresses[name], shapes[name]).copy() for name in self.engine.ins}
            names = [name for name in self.engine.names if name not in self.engine.ins]
            for name, value in zip(names, self.engine.session.run(names, feeds), strict=True):
                _memory(addresses[name], value.shape)[...] = value

        self.fake.machine.streams[stream].give(work)
        return True


def _memory(address: int, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
