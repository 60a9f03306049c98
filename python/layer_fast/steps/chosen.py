"""The engine of a run, and the options as that engine computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..config import RunConfig, thread_budget
from ..engines import facts_of
from ..engines.choice import Probe
from ..engines.placing import Trial, Wanted, may_use_gpu, place
from ..models import ModelPackage
from .compiled import Graphs
from .memory import GpuPlan
from .place import Host, Place
from .probe import checks, probe
from .sizes import opened_probe

GPU_LANES = 4  # each holds the activations of its engines; what they share is one GPU


@dataclass(slots=True)
class Chosen:
    """choice: as engines.placing.place gives it, on a GPU with the "batches" of steps.memory. config: the options with
    the batches that the GPU holds; unchanged on the CPU."""

    choice: dict[str, Any]
    config: RunConfig

    @property
    def engine(self) -> str:
        return str(self.choice["chosen"])

    @property
    def device(self) -> str:
        return str(self.choice.get("device", "cpu"))

    def facts(self, place: Callable[[], Place]) -> dict[str, str | int]:
        """The engine facts of a record's key. place: makes the lanes' places."""
        found = facts_of(self.choice, self.config.engine_threads, self.config.precision)
        return found if self.device == "cpu" else {**found, "arrays": "host" if place is Host else "cuda"}


def lane_count(config: RunConfig, device: str) -> int:
    """Batches at work at once: as asked, else as many as the thread budget allows."""
    many = max(1, thread_budget() // config.engine_threads)
    return config.lanes or (many if device == "cpu" else min(many, GPU_LANES))


def choose_engine(
    config: RunConfig, classifiers: list[ModelPackage], segmenter: ModelPackage | None, graphs: Graphs,
    kept: dict[str, Any] | None,
) -> Chosen:  # fmt: skip
    """Place the run's graphs. kept: the choice of the run that goes on. Raises EngineError, ConfigError."""
    used = [*([segmenter] if segmenter is not None else []), *classifiers]
    wanted = Wanted(config.engine, config.device, config.precision, config.engine_threads)
    plan = GpuPlan.of(config, used, kept, lane_count(config, "cuda")) if may_use_gpu(wanted, kept) else None

    def probes() -> list[Probe]:
        current = plan.config if plan is not None else config
        return [probe(classifiers[0], current, graphs), *checks(tuple(used), current, graphs)]

    def smaller() -> bool:
        return plan is not None and plan.halve()

    def planned() -> None:
        if plan is not None:
            plan.restart()

    choice = place(wanted, Trial(probes, partial(opened_probe, config), smaller, planned), kept)
    if plan is None or choice.get("device") != "cuda":
        return Chosen(choice, config)
    return Chosen({**choice, "batches": plan.facts()}, plan.config)
