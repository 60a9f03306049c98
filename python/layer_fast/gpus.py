"""Several GPUs: one worker process for each, with a pipeline of its own. Records come in input order, as from one."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from .config import RunConfig, thread_budget
from .engines import cuda
from .errors import ConfigError, EngineError
from .models import Models
from .pipeline import Pipeline
from .timing import StageTimes
from .types import ScanRecord, ScanRef

_AHEAD = 2  # chunks that each worker has in hand or waiting
_held: list[Pipeline] = []  # of a worker process: its pipeline


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker starts from. engine: the engine facts of the run, which each worker must have too. threads: of
    each worker."""

    models: Models
    config: RunConfig
    choice: dict[str, Any]
    engine: dict[str, Any]
    threads: int


class GpuWorkers:
    """devices: what CUDA_VISIBLE_DEVICES says in each worker. Raises EngineError where a worker cannot start, or would
    compute with another engine or on another model of card than the run says. Close it."""

    def __init__(self, pipeline: Pipeline, devices: list[str]) -> None:
        threads = max(1, thread_budget() // len(devices))
        engine = pipeline.facts.fixed["engine"]
        self._share = Share(pipeline.models, pipeline.config, pipeline.engine_choice, engine, threads)
        self._devices, self._chunk = devices, pipeline.config.scan_batch * pipeline.lanes
        self._pools = [self._start(device) for device in devices]
        self._times = [StageTimes() for _ in devices]
        for device, ready in zip(devices, [pool.submit(_ready) for pool in self._pools], strict=True):
            try:
                problem = ready.result()
            except BrokenProcessPool as error:
                problem = f"its process ended: {error}"
            if problem:
                self.close()
                raise EngineError(f"worker for GPU {device}: {problem}")

    def stream(
        self,
        scans: Iterable[ScanRef],
        *,
        stop: threading.Event | None = None,
    ) -> Generator[ScanRecord, None, None]:
        """As `Pipeline.stream`. Scans of a worker that dies fail with code "worker_died" and a new worker starts."""
        source, waiting = iter(scans), deque[tuple[int, list[ScanRef], Future[Any]]]()
        while True:
            while len(waiting) < _AHEAD * len(self._pools) and not (stop is not None and stop.is_set()):
                chunk = list(itertools.islice(source, self._chunk))
                if not chunk:
                    break
                busy = [sum(k == held for held, *_ in waiting) for k in range(len(self._pools))]
                k = busy.index(min(busy))
                waiting.append((k, chunk, self._submit(k, chunk)))
            if not waiting:
                return
            yield from self._result(*waiting.popleft())

    def times(self) -> StageTimes:
        """Seconds per stage, summed over the workers' lanes."""
        total = StageTimes()
        for times in self._times:
            total += times
        return total

    def close(self) -> None:
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, k: int, chunk: list[ScanRef]) -> Future[Any]:
        try:
            return self._pools[k].submit(_run, chunk)
        except BrokenProcessPool:  # it died between two chunks, which cost no scan
            self._restart(k)
            return self._pools[k].submit(_run, chunk)

    def _restart(self, k: int) -> None:
        self._pools[k].shutdown(wait=False)
        self._pools[k] = self._start(self._devices[k])

    def _result(self, k: int, chunk: list[ScanRef], future: Future[Any]) -> list[ScanRecord]:
        try:
            records, self._times[k] = future.result()
            return list(records)
        except BrokenProcessPool:
            said = f"the worker process of GPU {self._devices[k]} ended"
            return [ScanRecord(ref.scan_id, "", "failed", "worker_died", "worker", said) for ref in chunk]

    def _start(self, device: str) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")  # a forked child of a process that used CUDA cannot use it
        return ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(device, self._share))


def device_names(count: int, device: str) -> list[str]:
    """The GPUs of `count` workers as CUDA_VISIBLE_DEVICES names them. Raises ConfigError where there are not so many,
    or where the run is not on a GPU."""
    if device != "cuda":
        raise ConfigError(f"option 'gpus': expected a run on cuda for {count} GPUs, its engine is on the {device}")
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    found = named or [str(k) for k in range(len(cuda.driver().gpus))]
    if count > len(found):
        raise ConfigError(f"option 'gpus': expected at most the {len(found)} GPUs that are visible, got {count}")
    return found[:count]


def _begin(device: str, share: Share) -> None:
    """The start of a worker: its GPU before anything asks for one. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    os.environ["LAYER_FAST_THREADS"] = str(share.threads)
    _problem.clear()
    try:
        pipeline = Pipeline(share.models, share.config, kept_choice=share.choice)
    except Exception as error:
        _problem.append(f"{type(error).__name__}: {error}")
        return
    if (found := pipeline.facts.fixed["engine"]) != share.engine:
        _problem.append(f"expected the engine facts {share.engine}, found {found}")
        return
    _held.append(pipeline)


_problem: list[str] = []  # of a worker process: why it cannot work


def _ready() -> str:
    return _problem[0] if _problem else ""


def _run(chunk: list[ScanRef]) -> tuple[list[ScanRecord], StageTimes]:
    (pipeline,) = _held
    return list(pipeline.stream(chunk)), pipeline.times()
