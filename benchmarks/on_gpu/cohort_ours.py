"""The GPU cohort through the library's public calls: parts of a run that goes on, and a split of the time by stage."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from on_gpu.cohort_inputs import Folders, Settings

EVERY_S = 0.02
BAD = ("quarantined", "failed")


def options(settings: Settings, **more: Any) -> dict[str, Any]:
    """The run's options: Grad-CAM of the class alone, no guards, no pictures; the engine is the library's choice."""
    asked = {name: value for name in ("scan_batch", "lanes") if (value := getattr(settings, name))}
    return {
        "setups": ["bmode"], "methods": ["gradcam"], "guards": [], "target": "logit", "pictures": 0,
        "device": settings.device, **asked, **more,
    }  # fmt: skip


class DeviceMemory:
    """MB of the card in use, by everybody: before, and the largest value seen; None on the CPU. A thread asks every
    20 ms; the pools of CuPy and PyTorch keep what they took, so that a short peak is seen too."""

    def __init__(self, device: str) -> None:
        self.before_mb: float | None = None
        self.peak_mb: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True) if device == "cuda" else None

    def __enter__(self) -> DeviceMemory:
        if self._thread is not None:
            from layer_fast.engines import cuda
            from layer_fast.engines.device_arrays import any_library

            self._library, self._total = any_library(), cuda.first_gpu().memory_bytes
            self.before_mb = self.peak_mb = self._used()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()

    def _used(self) -> float:
        return round((self._total - self._library.free_bytes()) / 1e6, 1)

    def _watch(self) -> None:
        try:
            while not self._ended.wait(EVERY_S):
                self.peak_mb = max(self.peak_mb or 0.0, self._used())
        except Exception:  # of the library's own kinds: what was not watched to the end has no peak
            self.peak_mb = None


class Watch:
    """The progress of one part: when each scan's record came, what went wrong, and when it is time to stop."""

    def __init__(self, settings: Settings, folders: Folders, seconds: float) -> None:
        self.stop = threading.Event()
        self.times: list[float] = []
        self.bad: list[str] = []
        self.refused = ""
        self._device, self._run = settings.device, folders.out / "run.json"
        self._end = time.perf_counter() + seconds

    def __call__(self, done: int, total: int, record: Any) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) == 1:
            self._look_at_engine()
        if record.status in BAD:
            self.bad.append(f"{record.scan_id}: {record.code}: {record.message}")
        if self.times[-1] > self._end:
            self.stop.set()

    def _look_at_engine(self) -> None:
        """A run that was asked onto the GPU and went to the CPU is no measurement."""
        choice = json.loads(self._run.read_text())["engine_choice"]
        if choice.get("device", "cpu") != self._device:
            left_out = "; ".join(f"{name}: {why}" for name, why in choice.get("left_out", {}).items())
            self.refused = f"expected a run on {self._device}, it is on the CPU with {choice['chosen']}: {left_out}"
            self.stop.set()


def part(settings: Settings, folders: Folders, seconds: float) -> dict[str, Any]:
    """Go on with the cohort for about so many seconds, and say what was done. "refused": why it is no measurement."""
    import layer_fast as lf

    watch, start = Watch(settings, folders, seconds), time.perf_counter()
    with DeviceMemory(settings.device) as memory:
        run = lf.run_cohort(
            folders.table, folders.models, folders.out, options(settings), progress=watch, stop=watch.stop
        )
    whole = time.perf_counter() - start
    if watch.refused:
        shutil.rmtree(folders.out)  # the next call would go on with that engine
        return {"refused": watch.refused}
    facts = json.loads((folders.out / "run.json").read_text())
    came = watch.times[run.reused :]
    first = facts["config"]["scan_batch"]
    steady = came[first - 1 :]
    return {
        "scans": len(came), "seconds": round(whole, 3),
        "steady_scans": max(0, len(steady) - 1), "steady_seconds": round(steady[-1] - steady[0], 4) if steady else 0.0,
        "stages": {name: round(s, 4) for name, s in run.times.seconds.items()},
        "memory": {"before_mb": memory.before_mb, "peak_mb": memory.peak_mb},
        "counts": run.counts, "complete": run.complete and not set(run.counts) & set(BAD), "bad": watch.bad[:5],
        "load": round(os.getloadavg()[0], 2), "engine": facts["engine"], "engine_choice": facts["engine_choice"],
        "config": facts["config"],
    }  # fmt: skip


def staged(settings: Settings, folders: Folders) -> dict[str, Any]:
    """Seconds by stage of the first scans with one lane; with CUDA_LAUNCH_BLOCKING=1 each kernel is waited for where it
    is started, so that its time stands at its own stage. The first batch, which loads kernels, is not counted."""
    import layer_fast as lf

    refs = lf.load_table(folders.table)[: settings.scans]
    pipeline = lf.Pipeline(folders.models, options(settings, lanes=1))
    if pipeline.device != settings.device:
        return {"refused": f"expected a run on {settings.device}, it is on the {pipeline.device}"}
    list(pipeline.stream(refs[: pipeline.config.scan_batch]))
    before, start = dict(pipeline.times().seconds), time.perf_counter()
    records = list(pipeline.stream(refs))
    seconds = time.perf_counter() - start
    bad = [f"{r.scan_id}: {r.code}: {r.message}" for r in records if r.status in BAD]
    spent = {name: round(s - before.get(name, 0.0), 4) for name, s in pipeline.times().seconds.items()}
    waited = os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"
    return {"scans": len(records), "seconds": round(seconds, 3), "stages": spent, "waited": waited, "bad": bad[:5]}


def numbers(folders: Folders, count: int) -> dict[str, dict[str, Any]]:
    """By scan, of the first `count` rows: (7,) count, mean, std, min, max of background and layers; margin."""
    import numpy as np
    import pyarrow.parquet as parquet

    columns = ["scan_id", "region_kind", "label_value", "n_voxels", "mean", "std", "min", "max", "margin"]
    wanted = {f"scan{i:05}" for i in range(count)}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in parquet.read_table(Path(folders.out) / "layers.parquet", columns=columns).to_pylist():
        if row["scan_id"] in wanted and row["region_kind"] != "group":
            rows.setdefault(row["scan_id"], []).append(row)
    found: dict[str, dict[str, Any]] = {}
    for scan_id, held in rows.items():
        held.sort(key=lambda row: row["label_value"])
        named = {"count": "n_voxels", "mean": "mean", "std": "std", "min": "min", "max": "max"}
        found[scan_id] = {
            name: np.array([np.nan if row[column] is None else row[column] for row in held], np.float64)
            for name, column in named.items()
        } | {"margin": float(held[0]["margin"])}
    return found
