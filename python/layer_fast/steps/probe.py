"""Drawn inputs with which engines are measured and compared before a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import VALUE_METHODS, RunConfig
from ..engines import Arrays, Engine, open_engine
from ..engines.choice import AGREEMENT, Probe, relative_l2
from ..models import ModelPackage
from .compiled import compiled
from .lane import graph_kinds
from .maps import cam_methods

SLICES = 8  # of a drawn scan for a 2D model
_SEED = 20511
_AGREEMENT_INPUTS = 8
GRADIENT_AGREEMENT = 0.1  # a pre-activation within rounding of zero may flip a gate; wrong gradients differ by about 1


def probe(package: ModelPackage, config: RunConfig) -> Probe:
    """The graph in which a run with these options spends most: the forward over coalitions where layer values are
    asked for, else a class activation map, else whatever it calls, with a batch as the run makes it."""
    values = any(method in config.methods for method in VALUE_METHODS)
    kind = "forward" if values else next(iter(cam_methods(config.methods)), graph_kinds(config.methods)[-1])
    count = config.coalition_batch if values else config.scan_batch
    if package.manifest.slice_axis is not None:
        count = max(1, count // SLICES)
    output = {"forward": package.manifest.output, "gradient": f"grad_{package.manifest.input}"}.get(kind, "cam")
    label = f"{package.manifest.name} ({kind}, batch {count})"
    return Probe(label, compiled(package, kind, config.target), _feeds(package, kind, count), (output,))


def checks(packages: tuple[ModelPackage, ...], config: RunConfig) -> list[Probe]:
    """Every graph that the run calls, on two drawn inputs: compared, not timed."""
    found = []
    for package in packages:
        manifest = package.manifest
        for kind in graph_kinds(config.methods) if manifest.role == "classifier" else ("forward",):
            output = {"forward": manifest.output, "gradient": f"grad_{manifest.input}"}.get(kind, "cam")
            model, feeds = compiled(package, kind, config.target), _feeds(package, kind, 2)
            limit = GRADIENT_AGREEMENT if kind == "gradient" else AGREEMENT
            found.append(Probe(f"{manifest.name} ({kind})", model, feeds, (output,), weight=0.0, limit=limit))
    return found


def precision_agreement(packages: list[ModelPackage], config: RunConfig, engine: str) -> dict[str, dict[str, Any]]:
    """How far the reduced precision of a run is from float32 in the same engine, on drawn inputs: by classifier and
    kind of graph, each that the run calls.

    logits_max_abs; logits_l2 (relative); map_cosine over all maps or gradients, None for the plain forward; inputs.
    """
    found: dict[str, dict[str, Any]] = {}
    for package in packages:
        own = found.setdefault(package.label, {})
        for kind in graph_kinds(config.methods):
            model, feeds = compiled(package, kind, config.target), _feeds(package, kind, _AGREEMENT_INPUTS)
            label = f"{package.manifest.name} ({kind})"
            outputs: tuple[str, ...] = (package.manifest.output,)
            if kind != "forward":
                outputs += (f"grad_{package.manifest.input}" if kind == "gradient" else "cam",)
            full, reduced = (
                open_engine(engine, model, threads=config.engine_threads, label=label, precision=precision)
                for precision in ("float32", config.precision)
            )
            own[kind] = compare(full, reduced, feeds, outputs)
    return found


def compare(full: Engine, reduced: Engine, feeds: Arrays, outputs: tuple[str, ...]) -> dict[str, Any]:
    """The figures of `precision_agreement` for one graph; outputs: the logits and, if there is one, the map."""
    expected, got = full.run(feeds, outputs), reduced.run(feeds, outputs)
    return {
        "logits_max_abs": float(np.abs(got[0].astype(np.float64) - expected[0]).max()),
        "logits_l2": relative_l2(got[0], expected[0]),
        "map_cosine": _cosine(got[1], expected[1]) if len(outputs) > 1 else None,
        "inputs": len(next(iter(feeds.values()))),
    }


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else float(np.array_equal(x, y))


def _feeds(package: ModelPackage, kind: str, count: int) -> Arrays:
    """Uniform noise in [0, 1), the range of a model's input."""
    manifest = package.manifest
    shape = (count, len(manifest.channels), *manifest.grid_for((SLICES,) * 3))
    image = np.random.default_rng(_SEED).random(shape, np.float32)
    feeds: Arrays = {manifest.input: image}
    return feeds if kind == "forward" else {**feeds, "cotangent": np.ones((count, 1), np.float32)}
