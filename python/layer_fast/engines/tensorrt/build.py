"""From ONNX bytes to the bytes of an engine. Needs no GPU with TensorRT-RTX, which compiles ahead of time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ...errors import EngineError
from ..reasons import DeviceFull, sign_of
from .library import Library, new_log
from .profiles import Profile

FLAGS = ("strongly_typed", "no_tf32")
"""What is asked of the builder; part of an engine's key. TF32 would round float32 products to 10 bits."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the bytes of an engine. capability: "8.6" of the GPU it is for; where TensorRT-RTX has no
    such target it makes a portable engine, and full TensorRT builds for the GPU that is there. gpu: its name."""

    label: str
    model: bytes
    precision: str
    profiles: tuple[Profile, ...]
    library: Library
    capability: str = ""
    gpu: str = ""

    def facts(self) -> dict[str, Any]:
        """JSON-ready, without the label: two models of one content share an engine."""
        return {
            "graph_sha256": hashlib.sha256(self.model).hexdigest(), "precision": self.precision,
            "profiles": [{name: [list(shape) for shape in sizes] for name, sizes in p.items()} for p in self.profiles],
            "library": self.library.name, "version": self.library.version, "capability": self.capability,
            "gpu": "" if self.library.rtx else self.gpu, "flags": list(FLAGS),
        }  # fmt: skip

    def key(self) -> str:
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()


def build(recipe: Recipe) -> bytes:
    """Parse and compile. No timing cache: it would ask for a GPU, and make builds depend on each other.

    Raises EngineError with the parser's or builder's own words, DeviceFull where memory ran out.
    """
    trt, log = recipe.library.module, new_log(recipe.library)
    builder = trt.Builder(log)
    # Types come from the graph alone. TensorRT 11 and RTX know nothing else; TensorRT 10 has to be told.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(recipe.model):
        raise EngineError(f"{recipe.label}: TensorRT refused the graph: {_parser_words(parser) or log.take()}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    for profile in recipe.profiles:
        made = builder.create_optimization_profile()
        for name, (low, usual, high) in profile.items():
            made.set_shape(name, low, usual, high)
        config.add_optimization_profile(made)
    if recipe.library.rtx and recipe.capability in recipe.library.capabilities:
        config.num_compute_capabilities = 1
        config.set_compute_capability(_target(recipe), 0)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        words = log.take() or "the builder gives no reason"
        if sign_of(words) == "out_of_memory":
            raise DeviceFull(recipe.label, "build the engine", words)
        raise EngineError(f"{recipe.label}: TensorRT could not build the engine: {words}")
    return bytes(serialized)


def _target(recipe: Recipe) -> Any:
    return getattr(recipe.library.module.ComputeCapability, "SM" + recipe.capability.replace(".", ""))


def _parser_words(parser: Any) -> str:
    """What the parser has against the graph, with the node where it knows it."""
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    return "; ".join(
        (f"node {e.node_name()!r} ({e.node_operator()}): " if e.node_name() else "") + str(e.desc()) for e in errors
    )[:600]
