"""The graphs of a package for other runtimes: gradient, Grad-CAM and HiResCAM, each run once before it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from .. import graphs
from ..errors import ConfigError, ModelError
from ..graphs.prepare import prepare
from ..models.graph_checks import added_output, stated_ranks
from ..models.manifest import GraphKind
from .batch import TINY, draw, opened
from .facts import Facts

if TYPE_CHECKING:
    import onnx

Say = Callable[[str], None]
KINDS: tuple[str, ...] = get_args(GraphKind)
CAM_KINDS = ("gradcam", "hirescam")
MAX_CANDIDATES = 20
FORWARD_SAME = 1e-5  # an engine fuses a longer graph differently: float32 rounding, relative to the largest output


@dataclass(frozen=True)
class Cam:
    """The activation class activation maps are taken from (None: the graph has none), and what else could serve."""

    tensor: str | None
    candidates: tuple[str, ...]


def choose_activation(model: onnx.ModelProto, output: str, wanted: str | None, say: Say) -> Cam:
    """The wanted activation, else the best found one. Raises ConfigError for a name the graph does not have,
    ModelError for one that is channels last."""
    try:
        found = graphs.find_activations(model, output)
    except ModelError as error:
        if wanted is not None:
            raise
        say(f"no activation for class activation maps: {error}")
        return Cam(None, ())
    ranks = stated_ranks(prepare(model).graph)
    rank = len(model.graph.input[0].type.tensor_type.shape.dim)
    candidates = tuple(name for name in found if ranks.get(name) == rank)[:MAX_CANDIDATES]
    if wanted is not None:
        if ranks.get(wanted) != rank:
            raise ConfigError(f"activation: the graph makes no tensor {wanted!r} of {rank} axes, as its input has; "
                              f"candidates: {', '.join(candidates)}")  # fmt: skip
        graphs.check_activation(model, wanted)
        return Cam(wanted, candidates)
    if not candidates:
        say("activation: none found (a map needs a tensor with at least two spatial axes); Grad-CAM and HiResCAM will "
            "be refused for this package")  # fmt: skip
        return Cam(None, ())
    others = f"; {len(candidates) - 1} more in cam_candidates" if len(candidates) > 1 else ""
    say(f"activation: {candidates[0]!r}{others}")
    return Cam(candidates[0], candidates)


def check_kinds(kinds: Sequence[str] | None, role: str) -> None:
    """Raises ConfigError for a kind that does not exist or that a segmenter cannot have."""
    for kind in kinds or ():
        if kind not in KINDS:
            raise ConfigError(f"graphs: expected some of {', '.join(KINDS)}, found {kind!r}")
        if role == "segmenter" and kind in CAM_KINDS:
            raise ConfigError(f"graphs: {kind} explains a classifier, the fields state role segmenter")


def make_graphs(
    model: onnx.ModelProto, facts: Facts, cam: Cam, role: str, kinds: Sequence[str] | None, say: Say
) -> dict[str, onnx.ModelProto]:
    """kind -> graph. kinds None: all the role has, where one that cannot be made is said and left out.

    Raises ModelError where a kind that was asked for cannot be made, with the operator that lacks a rule.
    """
    check_kinds(kinds, role)
    wanted = kinds if kinds is not None else () if role == "segmenter" else KINDS
    made = {}
    for kind in wanted:
        try:
            made[kind] = make_graph(model, facts, cam, kind)
        except ModelError as error:
            if kinds is not None:
                raise ModelError(f"graph {kind}: {error}") from error
            say(f"graph {kind} left out: {error}")
    return made


def make_graph(model: onnx.ModelProto, facts: Facts, cam: Cam, kind: str) -> onnx.ModelProto:
    """One graph with the further input `cotangent`, shaped like the output. Raises ModelError."""
    if kind == "gradient":
        return graphs.gradient(model, facts.output, (facts.input,))
    if cam.tensor is None:
        raise ModelError("expected an activation, found none in the graph; name one with activation")
    make = graphs.gradcam if kind == "gradcam" else graphs.hirescam
    return make(model, facts.output, cam.tensor)


def check_runs(
    model: onnx.ModelProto, made: dict[str, onnx.ModelProto], facts: Facts, sizes: tuple[int, ...]
) -> None:
    """Run every graph on drawn inputs, a batch of two: its forward must be the model's, what it adds must be finite.
    Raises ModelError."""
    image = draw((2, facts.channels, *sizes), seed=1)
    (plain,) = opened(model, "model.onnx")({facts.input: image}, (facts.output,))
    cotangent = np.zeros_like(plain)
    cotangent[:, -1] = 1
    scale = max(float(np.abs(plain).max()), TINY)
    for kind, graph in made.items():
        feeds = {facts.input: image, "cotangent": cotangent}
        forward, added = opened(graph, f"graph {kind}")(feeds, (facts.output, added_output(kind, facts.input)))
        worst = float(np.abs(forward - plain).max()) / scale
        if not worst <= FORWARD_SAME:
            raise ModelError(f"graph {kind}: expected the model's own output beside the map, found it off by {worst:g}")
        if not np.isfinite(added).all():
            raise ModelError(f"graph {kind}: expected finite values, found NaN or infinity")
