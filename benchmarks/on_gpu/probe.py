"""Does TensorRT run on this card at all? One small graph, built for several targets, loaded and run, each step's exact
words kept.

    python benchmarks/on_gpu/probe.py                prints JSON; run in a process of its own, which a library may end
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np


def small_graph() -> bytes:
    """Three convolutions with a ReLU and a mean: (B, 1, 16, 16, 16) -> (B, 2). No exporter is needed."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, tensors, name = [], [], "image"
    for k, (a, b) in enumerate(((1, 8), (8, 8), (8, 2))):
        tensors.append(numpy_helper.from_array(rng.standard_normal((b, a, 3, 3, 3), np.float32) / 5, f"w{k}"))
        nodes += [helper.make_node("Conv", [name, f"w{k}"], [f"c{k}"], pads=[1] * 6),
                  helper.make_node("Relu", [f"c{k}"], [f"r{k}"])]  # fmt: skip
        name = f"r{k}"
    tensors.append(numpy_helper.from_array(np.array([2, 3, 4], np.int64), "axes"))
    nodes.append(helper.make_node("ReduceMean", [name, "axes"], ["logits"], keepdims=0))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 1, 16, 16, 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 2])
    graph = helper.make_graph(nodes, "probe", [image], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


def probe() -> dict[str, Any]:
    """What the machine is and, by target, how far TensorRT comes on it."""
    from layer_fast.engines import cuda, inventory, tensorrt

    found: dict[str, Any] = {"gpu": inventory.gpus(), "attempts": {}}
    try:
        library = tensorrt.find()
        gpu = cuda.first_gpu()
    except Exception as error:
        return found | {"runs": False, "message": f"{type(error).__name__}: {error}"}
    found["library"] = {"name": library.name, "version": library.version, "targets": list(library.capabilities)}
    for target in dict.fromkeys((gpu.capability, "portable", "8.0")):
        found["attempts"][target] = attempt(library, gpu, target)
    found["runs"] = found["attempts"][gpu.capability].get("ran", False)
    found["message"] = found["attempts"][gpu.capability]["message"]
    return found


def attempt(library: Any, gpu: Any, target: str) -> dict[str, Any]:
    """Build, load, run, compare; "message" is "ok" or the words with which it ended."""
    from layer_fast.engines import Sizes, open_engine
    from layer_fast.engines.tensorrt.build import build
    from layer_fast.engines.tensorrt.engine import TensorRtEngine, recipe_of
    from layer_fast.engines.tensorrt.loaded import Loaded

    steps: dict[str, Any] = {}
    try:
        sizes = Sizes(2, 4, (16, 16, 16))
        recipe, ports = recipe_of(small_graph(), "probe", "float32", sizes, library, gpu)
        recipe = replace(recipe, capability="" if target == "portable" else target)
        data = build(recipe)
        steps["built_bytes"] = len(data)
        loaded = Loaded(recipe, data, gpu)
        steps["loaded"] = True
        image = np.random.default_rng(1).random((2, 1, 16, 16, 16), np.float32)
        (got,) = TensorRtEngine.around(loaded, ports).run({"image": image}, ("logits",))
        steps["ran"] = True
        cpu = open_engine("onnxruntime", small_graph(), threads=1, label="probe")
        (expected,) = cpu.run({"image": image}, ("logits",))
        steps["l2"] = float(np.linalg.norm(got - expected) / np.linalg.norm(expected))
        return {**steps, "message": "ok" if steps["l2"] < 1e-3 else f"wrong numbers: {steps['l2']:.2g} (L2, relative)"}
    except Exception as error:
        return {**steps, "message": f"{type(error).__name__}: {error}"}


def in_own_process(seconds: float = 120) -> dict[str, Any]:
    """As `probe`; a library that ends the process, or hangs, is a message too."""
    command = [sys.executable, str(Path(__file__).resolve())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"runs": False, "message": f"no answer within {seconds:.0f} s", "attempts": {}}
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        words = " ".join(done.stderr.split())[-600:]
        return {"runs": False, "message": f"the process ended with {done.returncode}: {words}", "attempts": {}}


if __name__ == "__main__":
    print(json.dumps(probe()))
