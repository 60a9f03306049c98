"""How many inputs one call on a GPU takes: as many as are asked for, halved until they fit into what is free.

Pure functions of numbers. The count errs on the large side: every tensor of the graph in float32, where engines reuse
memory and half precision takes half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import RunConfig
from ..engines.device_arrays import any_library, give_back_unused
from ..errors import EngineError
from ..models import ModelPackage
from .compiled import activation_bytes
from .sizes import SLICES

SHARE = 0.8  # of the free memory; the rest is for weights, volumes, maps and the libraries' own workspaces


def fitting(wanted: int, item_bytes: int, budget_bytes: float) -> int:
    """The largest of wanted, wanted // 2, wanted // 4, ... whose items fit into the budget; 1 where none does."""
    while wanted > 1 and wanted * item_bytes > budget_bytes:
        wanted //= 2
    return max(1, wanted)


def planned(config: RunConfig, item_bytes: Sequence[int], free_bytes: int, lanes: int) -> RunConfig:
    """The options with scan_batch and coalition_batch lowered to what the GPU holds. item_bytes: of one input in each
    model's graph; the largest decides. Every lane holds a call of its own."""
    budget, largest = SHARE * free_bytes / lanes, max(item_bytes)
    return config.model_copy(
        update={
            "scan_batch": fitting(config.scan_batch, largest, budget),
            "coalition_batch": fitting(config.coalition_batch, largest, budget),
        }
    )


def halved(config: RunConfig) -> RunConfig | None:
    """The options with both batches halved, None where they are 1 already: for another try after the GPU was full."""
    if config.scan_batch == config.coalition_batch == 1:
        return None
    half = {"scan_batch": max(1, config.scan_batch // 2), "coalition_batch": max(1, config.coalition_batch // 2)}
    return config.model_copy(update=half)


def batches(asked: RunConfig, planned: RunConfig, used: RunConfig, free_bytes: int) -> dict[str, Any]:
    """What run.json keeps of the plan, JSON-ready. A run that goes on takes it as it is: see `kept_batches`.
    "lowered": "no", "by plan" (from the free memory) or "full" (an engine found no room for the planned ones)."""
    names = ("scan_batch", "coalition_batch")
    of = {which: {name: getattr(c, name) for name in names} for which, c in (("asked", asked), ("used", used))}
    lowered = "no" if of["used"] == of["asked"] else "by plan" if used == planned else "full"
    return {**of, "lowered": lowered, "free_mb": free_bytes >> 20}


def kept_batches(config: RunConfig, kept: dict[str, Any] | None) -> RunConfig | None:
    """The batches of the run that goes on, where it was asked for the same; else None. Free memory differs from day to
    day, and records of one run come from calls of one size."""
    held = (kept or {}).get("batches")
    if not held or any(getattr(config, name) != n for name, n in held["asked"].items()):
        return None
    return config.model_copy(update=held["used"])


def item_bytes(packages: Sequence[ModelPackage], slices: int) -> list[int]:
    """Bytes of one input in each graph; slices: of a scan, for 2D models."""
    return [activation_bytes(p) * (slices if p.manifest.slice_axis is not None else 1) for p in packages]


@dataclass(slots=True)
class GpuPlan:
    """The batches of a run on a GPU: as asked, as planned from free memory, or as the run that goes on has them."""

    asked: RunConfig
    config: RunConfig
    free_bytes: int
    kept: bool = False
    planned: RunConfig = field(init=False)

    def __post_init__(self) -> None:
        self.planned = self.config

    @classmethod
    def of(
        cls, asked: RunConfig, packages: Sequence[ModelPackage], kept: dict[str, Any] | None, lanes: int
    ) -> GpuPlan | None:
        """None where no library says how much memory is free: then the engines say what is missing."""
        try:
            library = any_library()
            give_back_unused()  # else what an earlier run of this process left in a pool counts as taken
            free = library.free_bytes()
        except EngineError:
            return None
        held = kept_batches(asked, kept)
        if held is not None:
            return cls(asked, held, free, kept=True)
        return cls(asked, planned(asked, item_bytes(packages, SLICES), free, lanes), free)

    def halve(self) -> bool:
        """Halve the batches, unless they are those of the run that goes on or 1 already."""
        fewer = None if self.kept else halved(self.config)
        if fewer is None:
            return False
        self.config = fewer
        return True

    def restart(self) -> None:
        """The batches as planned: for the next engine."""
        self.config = self.planned

    def facts(self) -> dict[str, Any]:
        return batches(self.asked, self.planned, self.config, self.free_bytes)
