"""Drawn inputs with which engines are measured and compared before a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import VALUE_METHODS, RunConfig
from ..engines import Arrays, Engine, open_engine, run_padded
from ..engines.choice import AGREEMENT, Probe, relative_l2
from ..models import ModelPackage
from ..models.graph_checks import added_output
from .compiled import Graphs
from .lane import graph_kinds
from .maps import cam_methods
from .sizes import SLICES, gradient_count, gradient_limit, options, precision_of, sizes_of

_SEED = 20511
_AGREEMENT_INPUTS = 8
GRADIENT_AGREEMENT = 0.1  # a pre-activation within rounding of zero may flip a gate; wrong gradients differ by about 1


def probe(package: ModelPackage, config: RunConfig, graphs: Graphs) -> Probe:
    """The graph in which a run with these options spends most: the forward over coalitions where layer values are
    asked for, else a class activation map, else whatever it calls, with a batch as the run makes it."""
    values = any(method in config.methods for method in VALUE_METHODS)
    kind = "forward" if values else next(iter(cam_methods(config.methods)), graph_kinds(config.methods)[-1])
    count = config.coalition_batch if values else config.scan_batch
    if package.manifest.slice_axis is not None:
        count = max(1, count // SLICES)
    if kind == "gradient":
        count = gradient_count(package, config)
    label = f"{package.manifest.name} ({kind}, batch {count})"
    feeds, outputs = _feeds(package, kind, count), _outputs(package, kind)[-1:]
    return Probe(label, graphs.of(package, kind), feeds, outputs, kind=kind, sizes=sizes_of(package, kind, config))


def checks(packages: tuple[ModelPackage, ...], config: RunConfig, graphs: Graphs) -> list[Probe]:
    """Every graph that the run calls, on two drawn inputs (one where two gradients are beyond the memory budget):
    compared, not timed."""
    found = []
    for package in packages:
        manifest = package.manifest
        for kind in _kinds(package, config):
            feeds = _feeds(package, kind, min(2, _limit(package, kind, config) or 2))
            limit = GRADIENT_AGREEMENT if kind == "gradient" else AGREEMENT
            label, outputs = f"{manifest.name} ({kind})", _outputs(package, kind)[-1:]
            model, sizes = graphs.of(package, kind), sizes_of(package, kind, config)
            found.append(Probe(label, model, feeds, outputs, weight=0.0, limit=limit, kind=kind, sizes=sizes))
    return found


def rehearsal(package: ModelPackage, config: RunConfig) -> Iterator[tuple[str, Arrays, tuple[str, ...]]]:
    """(kind, feeds, outputs) of every graph that the run calls, drawn, with a batch as the run makes it; of a 2D model
    as many drawn scans as make about that batch."""
    for kind in _kinds(package, config):
        count = sizes_of(package, kind, config).usual
        if package.manifest.slice_axis is not None:
            count = max(1, count // SLICES)
        yield kind, _feeds(package, kind, count), _outputs(package, kind)


def precision_agreement(
    packages: list[ModelPackage], config: RunConfig, graphs: Graphs, engine: str, device: str = "cpu"
) -> dict[str, dict[str, Any]]:
    """How far the reduced precision of a run is from float32 in the same engine, on drawn inputs: by classifier
    (SETUP/NAME/MEMBER) and kind of graph, each that the run calls in less than float32.

    logits_max_abs; logits_l2 (relative); map_cosine over all maps or gradients, None for the plain forward; inputs.
    """
    found: dict[str, dict[str, Any]] = {}
    for package in packages:
        own = found.setdefault(package.label, {})
        for kind in graph_kinds(config.methods):
            if (precision_used := precision_of(engine, kind, config)) == "float32":
                continue
            label = f"{package.manifest.name} ({kind})"
            more = options(device, package, kind, config)
            full, reduced = (
                open_engine(
                    engine, graphs.of(package, kind), threads=config.engine_threads, label=label, precision=p, **more
                )
                for p in ("float32", precision_used)
            )
            feeds, batch = _feeds(package, kind, _AGREEMENT_INPUTS), _limit(package, kind, config)
            batch = batch if device == "cpu" else min(_AGREEMENT_INPUTS, more["sizes"].largest)
            own[kind] = compare(full, reduced, feeds, _outputs(package, kind), batch)
    return found


def _kinds(package: ModelPackage, config: RunConfig) -> tuple[str, ...]:
    return graph_kinds(config.methods) if package.manifest.role == "classifier" else ("forward",)


def _outputs(package: ModelPackage, kind: str) -> tuple[str, ...]:
    """The logits and, if there is one, the map."""
    manifest = package.manifest
    return (manifest.output,) if kind == "forward" else (manifest.output, added_output(kind, manifest.input))


def _limit(package: ModelPackage, kind: str, config: RunConfig) -> int | None:
    """How many drawn inputs one call may hold; None: as many as there are."""
    if kind != "gradient":
        return None
    return gradient_limit(package, config)


def compare(
    full: Engine, reduced: Engine, feeds: Arrays, outputs: tuple[str, ...], batch: int | None = None
) -> dict[str, Any]:
    """The figures of `precision_agreement` for one graph; outputs: the logits and, if there is one, the map.
    batch: inputs of one call, None for all."""
    expected, got = (
        run_padded(engine, feeds, outputs, batch) if batch else engine.run(feeds, outputs) for engine in (full, reduced)
    )
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
