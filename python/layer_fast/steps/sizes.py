"""How large the batches of a run are, for engines that are built for sizes, and what opens one."""

from __future__ import annotations

from typing import Any

from ..config import GRADIENT_METHODS, VALUE_METHODS, RunConfig
from ..engines import Engine, Sizes, graph_precision, open_engine, run_precision
from ..models import ModelPackage
from .compiled import even_batch, gradient_batch

SLICES = 8  # of a drawn scan for a 2D model


def gradient_count(package: ModelPackage, config: RunConfig) -> int:
    """The largest batch of gradients that a run makes."""
    sizes = {"integrated_gradients": config.ig_steps, "smoothgrad": config.smoothgrad_samples}
    wanted = max((sizes.get(method, 1) for method in config.methods if method in GRADIENT_METHODS), default=1)
    return even_batch(wanted, gradient_limit(package, config) or wanted)


def gradient_limit(package: ModelPackage, config: RunConfig) -> int:
    """How many drawn inputs one gradient call may hold."""
    slices = SLICES if package.manifest.slice_axis is not None else 1
    return max(1, gradient_batch(package, config.gradient_memory_mb, slices))


def sizes_of(package: ModelPackage, kind: str, config: RunConfig) -> Sizes:
    """The batches in which a run calls one graph. Predictions of two inputs are the ends of integrated gradients."""
    grid = tuple(package.manifest.grid)
    if kind == "gradient":
        count = gradient_count(package, config)
        return Sizes(count, max(count, min(2, gradient_limit(package, config))), grid)
    values = package.manifest.role == "classifier" and any(method in config.methods for method in VALUE_METHODS)
    usual = config.coalition_batch if kind == "forward" and values else config.scan_batch
    return Sizes(usual, max(usual, config.scan_batch, 2), grid)


def options(device: str, package: ModelPackage, kind: str, config: RunConfig) -> dict[str, Any]:
    """What `open_engine` has to know besides for an engine on this device."""
    if device == "cpu":
        return {}
    return {"device": device, "sizes": sizes_of(package, kind, config), "cache": config.engine_cache}


def precision_of(engine: str, kind: str, config: RunConfig) -> str:
    """The precision of one graph of a run."""
    return graph_precision(run_precision(engine, config.precision), kind)


def opened_probe(config: RunConfig, name: str, probe: Any, device: str, precision: str) -> Engine:
    """Open a probe's graph as a run would (engines.placing.Open)."""
    more = {"device": device, "sizes": probe.sizes, "cache": config.engine_cache} if device != "cpu" else {}
    return open_engine(name, probe.model, threads=config.engine_threads, label=probe.label, precision=precision, **more)
