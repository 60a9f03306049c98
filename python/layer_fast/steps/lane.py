"""A lane: a thread's engines and its reused buffers. One batch works on a lane at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CAM_METHODS, GRADIENT_METHODS, METHODS, VALUE_METHODS, RunConfig
from ..engines import Engine, open_engine
from ..errors import ModelError
from ..fills import FILL_FACTS, FILLS
from ..models import ModelPackage
from ..timing import StageTimes
from .compiled import Graphs
from .place import Host, Place
from .sizes import options, precision_of


@dataclass(slots=True)
class Lane:
    """Where a batch runs. Engines are opened on first use and kept; buffers are reused, so a result that
    outlives the batch must be copied out of them."""

    engine: str
    config: RunConfig
    op_threads: int  # the lane's share of the thread budget for native ops, whose bytes do not depend on it
    graphs: Graphs
    times: StageTimes = field(default_factory=StageTimes)
    device: str = "cpu"  # of the engines
    place: Place = field(default_factory=Host)  # of the arrays between upload and record
    _engines: dict[tuple[str, str], Engine] = field(default_factory=dict)
    _buffers: dict[str, NDArray[Any]] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)

    def forward(self, package: ModelPackage) -> Engine:
        """The package's graph over volumes as it is: output `logits`."""
        return self.opened(package, "forward")

    def explaining(self, package: ModelPackage, kind: str) -> Engine:
        """The classifier with one more output: "gradcam" and "hirescam" give `cam` (signed), "gradient" the gradient
        of the target by the image. Inputs: the image and `cotangent` (B, 1), which is 1 for the target itself."""
        return self.opened(package, kind)

    def open_all(self, segmenter: ModelPackage | None, classifiers: list[ModelPackage]) -> None:
        """Open what a run will use, so that a graph that cannot run is refused before the first scan."""
        if segmenter is not None:
            self.forward(segmenter)
        for package in classifiers:
            for kind in graph_kinds(self.config.methods):
                self.opened(package, kind)

    def buffer(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A float32 array that lives as long as the lane; its content is whatever the last batch left."""
        size = int(np.prod(shape))
        held = self._buffers.get(name)
        if held is None or held.size < size:
            held = self._buffers[name] = self.place.empty((size,), np.float32)
        return held[:size].reshape(shape)

    def constant(self, name: str, array: NDArray[Any]) -> Any:
        """An array of the host where the lane's arrays are, brought there once."""
        if name not in self._kept:
            self._kept[name] = self.place.put(array)
        return self._kept[name]

    def opened(self, package: ModelPackage, kind: str) -> Engine:
        """The engine of one of the package's graphs (`graph_kinds`), which is opened the first time."""
        key = (package.sha256, kind)
        if key not in self._engines:
            model = self.graphs.of(package, kind)
            label = f"{package.manifest.name} ({kind})"
            more = options(self.device, package, kind, self.config)
            precision = precision_of(self.engine, kind, self.config)
            self._engines[key] = open_engine(
                self.engine, model, threads=self.config.engine_threads, label=label, precision=precision, **more
            )
        return self._engines[key]


@contextmanager
def at_work(lane: Lane, idle: SimpleQueue[Lane]) -> Iterator[Lane]:
    """The lane for one batch, which is among the idle ones again afterwards. On a GPU all that is within goes to the
    lane's own stream: what went to another one would not be ordered with the lane's buffers and engines."""
    try:
        with lane.place.active():
            yield lane
    finally:
        idle.put(lane)


def check_profile(package: ModelPackage, config: RunConfig) -> None:
    """Refuse, before the first scan, what needs the training subjects' mean where the package does not hold it."""
    needs = [name for name in config.fills if FILL_FACTS[name].needs == "fill_profile"]
    asked = [method for method in VALUE_METHODS if method in config.methods] if needs else []
    if "integrated_gradients" in config.methods and config.ig_baseline == "cohort_profile":
        asked.append("integrated_gradients from cohort_profile")
    if asked and package.fill_profile is None:
        raise ModelError(
            f"{package.path}: {', '.join(asked)} need a fill profile, the package has none; export it with the "
            f"training cohort, or ask for other methods ({', '.join(m for m in METHODS if m not in VALUE_METHODS)}) or "
            f"fills ({', '.join(name for name in FILLS if FILL_FACTS[name].needs != 'fill_profile')})"
        )


def graph_kinds(methods: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of graph that these methods call, "forward" first."""
    kinds = [method for method in CAM_METHODS if method in methods]
    if any(method in methods for method in GRADIENT_METHODS):
        kinds.append("gradient")
    # Completeness of integrated gradients and the coalition values need plain predictions.
    plain = "integrated_gradients" in methods or any(method in methods for method in VALUE_METHODS)
    return ("forward", *kinds) if plain or not kinds else tuple(kinds)
