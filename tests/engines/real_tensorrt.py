"""What the tests ask of the real TensorRT-RTX, in functions for a process of their own: see graphs.trt.Compiler."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from layer_fast.config import make_config
from layer_fast.engines import tensorrt
from layer_fast.engines.cuda import Gpu
from layer_fast.engines.tensorrt.build import build
from layer_fast.engines.tensorrt.engine import recipe_of
from layer_fast.models import load_models
from layer_fast.steps.compiled import compiled
from layer_fast.steps.sizes import precision_of, sizes_of

METHODS = {"methods": ("gradcam", "hirescam", "gradient", "integrated_gradients", "layer_shapley")}
SURFACE: dict[str, tuple[str, ...]] = {
    "": ("Builder", "OnnxParser", "Runtime", "ILogger", "nptype", "TensorIOMode", "BuilderFlag",
         "NetworkDefinitionCreationFlag", "ExecutionContextAllocationStrategy"),
    "Builder": ("create_network", "create_builder_config", "create_optimization_profile", "build_serialized_network"),
    "OnnxParser": ("parse", "num_errors", "get_error"),
    "ParserError": ("desc", "node_name", "node_operator"),
    "IBuilderConfig": ("clear_flag", "add_optimization_profile"),
    "IOptimizationProfile": ("set_shape",),
    "BuilderFlag": ("TF32",),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "TensorIOMode": ("OUTPUT",),
    "ILogger": ("log", "Severity"),
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": ("num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_dtype",
                    "create_execution_context", "get_device_memory_size_for_profile_v2"),
    "ExecutionContextAllocationStrategy": ("USER_MANAGED",),
    "IExecutionContext": ("set_optimization_profile_async", "set_input_shape", "infer_shapes", "get_tensor_shape",
                          "set_tensor_address", "execute_async_v3", "update_device_memory_size_for_shapes",
                          "set_device_memory"),
}  # fmt: skip
"""Class -> what the engine uses of it, in `tensorrt` 10 and 11 and in `tensorrt_rtx` alike."""
RTX_SURFACE: dict[str, tuple[str, ...]] = {
    "": ("ComputeCapability", "CudaGraphStrategy", "EngineValidity", "EngineInvalidityDiagnostics"),
    "CudaGraphStrategy": ("WHOLE_GRAPH_CAPTURE",),
    "EngineValidity": ("INVALID",),
    "EngineInvalidityDiagnostics": ("UNSUPPORTED_CC", "OLD_CUDA_DRIVER", "OLD_CUDA_RUNTIME",
                                    "INSUFFICIENT_GPU_MEMORY"),
    "ComputeCapability": ("SM80", "SM86", "SM89", "SM120"),
    "IBuilderConfig": ("num_compute_capabilities", "set_compute_capability"),
    "Runtime": ("get_engine_validity",),
    "ICudaEngine": ("create_runtime_config",),
    "IRuntimeConfig": ("cuda_graph_strategy", "set_execution_context_allocation_strategy"),
}  # fmt: skip


def missing() -> list[str]:
    """What the engine uses and the installed module does not have."""
    module = tensorrt.find().module
    gone = []
    for surface in (SURFACE, RTX_SURFACE):
        for owner, names in surface.items():
            held = getattr(module, owner) if owner else module
            gone += [f"{owner}.{name}".lstrip(".") for name in names if not hasattr(held, name)]
    return gone


def shown_signatures() -> list[str]:
    """The first lines of the documented signatures of what is called with arguments."""
    trt: Any = tensorrt.find().module
    called = (trt.IExecutionContext.execute_async_v3, trt.IExecutionContext.set_tensor_address,
              trt.IOptimizationProfile.set_shape, trt.Runtime.get_engine_validity,
              trt.IBuilderConfig.set_compute_capability, trt.IExecutionContext.set_optimization_profile_async,
              trt.OnnxParser.parse, trt.IExecutionContext.set_device_memory)  # fmt: skip
    return [str(method.__doc__).strip().splitlines()[0] for method in called]


def used() -> list[str]:
    """Attributes that the engine's code reads from objects of the library, by its source."""
    names: set[str] = set()
    package: ModuleType = tensorrt
    for path in sorted(Path(inspect.getfile(package)).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
    return sorted(names)


def built(folder: str, name: str, kind: str) -> list[str]:
    """Build one graph of a run by the engine's own builder; complaints, empty where bytes came out."""
    (package,) = (p for p in load_models(folder).packages if p.path.name == name)
    config = make_config(METHODS)
    precision = precision_of("tensorrt", kind, config)
    sizes = sizes_of(package, kind, config)
    model = compiled(package, kind, config.target)
    recipe, _ = recipe_of(model, name, precision, sizes, tensorrt.find(), Gpu("AOT", (8, 6), 0))
    data = build(recipe)
    return [] if len(data) > 10_000 else [f"{len(data)} bytes"]


def portable() -> list[str]:
    """For a card that TensorRT-RTX has no target for: built all the same, without one."""
    (package,) = (p for p in load_models("reference").packages if p.path.name == "classifier_bmode")
    config = make_config(METHODS)
    recipe, _ = recipe_of(
        compiled(package, "gradcam", "margin"), "portable", "float16", sizes_of(package, "gradcam", config),
        tensorrt.find(), Gpu("Hopper", (9, 0), 0),
    )  # fmt: skip
    targets = tensorrt.find().capabilities
    return [] if "9.0" not in targets and "8.6" in targets and len(build(recipe)) > 10_000 else [str(targets)]


def refused() -> list[str]:
    """The words for a graph that the parser does not take."""
    from graphs.test_tensorrt import PLANTED

    model = PLANTED["MaxPool"].SerializeToString()
    from layer_fast.engines import Sizes

    recipe, _ = recipe_of(model, "planted", "float32", Sizes(), tensorrt.find(), None)
    try:
        build(recipe)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []
