"""A lane: one device with its engines and its reused buffers. One batch works on a lane at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engines import Engine, open_engine
from ..graphs import gradcam
from ..models import ModelPackage
from ..timing import StageTimes


@dataclass(slots=True)
class Lane:
    """Where a batch runs. Engines are opened on first use and kept; buffers are reused, so a result that
    outlives the batch must be copied out of them."""

    engine: str
    engine_threads: int  # inside an engine call; part of every record's key
    op_threads: int  # the lane's share of the thread budget for native ops, whose bytes do not depend on it
    scan_batch: int
    coalition_batch: int
    device: str = "cpu"
    times: StageTimes = field(default_factory=StageTimes)
    _engines: dict[tuple[str, str], Engine] = field(default_factory=dict)
    _buffers: dict[str, NDArray[Any]] = field(default_factory=dict)

    def forward(self, package: ModelPackage) -> Engine:
        """The package's graph as it is: outputs `logits`."""
        return self._open(package, "forward")

    def with_cam(self, package: ModelPackage) -> Engine:
        """The same graph with a Grad-CAM head: inputs image and cotangent, outputs `logits` and `cam` (signed)."""
        return self._open(package, "gradcam")

    def open_all(
        self, segmenter: ModelPackage | None, classifiers: list[ModelPackage], methods: tuple[str, ...]
    ) -> None:
        """Open what a run will use, so that a graph that cannot run is refused before the first scan."""
        if segmenter is not None:
            self.forward(segmenter)
        for package in classifiers:
            if "gradcam" in methods:
                self.with_cam(package)
            if methods != ("gradcam",):
                self.forward(package)

    def buffer(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A float32 array that lives as long as the lane; its content is whatever the last batch left."""
        size = int(np.prod(shape))
        held = self._buffers.get(name)
        if held is None or held.size < size:
            held = self._buffers[name] = np.empty(size, np.float32)
        return held[:size].reshape(shape)

    def _open(self, package: ModelPackage, kind: str) -> Engine:
        key = (package.sha256, kind)
        if key not in self._engines:
            model = package.model_bytes
            if kind == "gradcam":
                m = package.manifest
                graph = gradcam(package.model, output=m.output, activation=str(m.cam_tensor))
                model = graph.SerializeToString()
            label = f"{package.manifest.name} ({kind})"
            self._engines[key] = open_engine(self.engine, model, threads=self.engine_threads, label=label)
        return self._engines[key]
