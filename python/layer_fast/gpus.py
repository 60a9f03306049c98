"""Several GPUs: one worker process for each, with a pipeline of its own. Records come in input order, as from one."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from .config import RunConfig, thread_budget
from .engines import cuda
from .errors import ConfigError, EngineError
from .models import Models
from .pipeline import Pipeline
from .timing import StageTimes
from .types import ScanRecord, ScanRef

_AHEAD = 2  # chunks that each worker has in hand or waiting
_ROUNDS = 4  # of its lanes in a chunk: at its beginning and end lanes wait, and with its worker it is lost
_log = logging.getLogger("layer_fast.gpus")
_held: list[Pipeline] = []  # of a worker process: its pipeline
_problem: list[str] = []  # of a worker process: why it has none


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker starts from. engine: the engine facts of the run, which each worker must have too. threads: of
    each worker."""

    models: Models
    config: RunConfig
    choice: dict[str, Any]
    engine: dict[str, Any]
    threads: int


@dataclass(eq=False, slots=True)
class Worker:
    """One process on one GPU. times: what it had spent when its last chunk came back."""

    device: str
    pool: ProcessPoolExecutor
    times: StageTimes = field(default_factory=StageTimes)


Chunk = tuple[Worker, list[ScanRef], Future[Any]]


class GpuWorkers:
    """devices: what CUDA_VISIBLE_DEVICES says in each worker. Raises EngineError where a worker cannot start, or would
    compute with another engine or on another model of card than the run says. Close it."""

    def __init__(self, pipeline: Pipeline, devices: list[str]) -> None:
        threads = max(1, thread_budget() // len(devices))
        engine = pipeline.facts.fixed["engine"]
        self._share = Share(pipeline.models, pipeline.config, pipeline.engine_choice, engine, threads)
        self._chunk = _ROUNDS * pipeline.config.scan_batch * pipeline.lanes
        self._ended: list[Worker] = []
        self._workers = [self._start(device) for device in devices]
        for device, ready in zip(devices, [worker.pool.submit(_ready) for worker in self._workers], strict=True):
            if problem := _said(ready):
                self.close()
                raise EngineError(f"worker for GPU {device}: {problem}")

    def stream(
        self,
        scans: Iterable[ScanRef],
        *,
        stop: threading.Event | None = None,
    ) -> Generator[ScanRecord, None, None]:
        """As `Pipeline.stream`. Scans of a worker that dies fail with code "worker_died" and a new worker starts; a GPU
        on which none starts any more is left out. Raises EngineError where no GPU is left."""
        source, waiting = iter(scans), deque[Chunk]()
        while True:
            while len(waiting) < _AHEAD * len(self._workers) and not (stop is not None and stop.is_set()):
                chunk = list(itertools.islice(source, self._chunk))
                if not chunk:
                    break
                waiting.append(self._submit(chunk, waiting))
            if not waiting:
                return
            yield from _result(*waiting.popleft())

    def times(self) -> StageTimes:
        """Seconds per stage, summed over the workers' lanes."""
        total = StageTimes()
        for worker in (*self._ended, *self._workers):
            total += worker.times
        return total

    def close(self) -> None:
        for worker in self._workers:
            worker.pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, chunk: list[ScanRef], waiting: Iterable[Chunk]) -> Chunk:
        while True:
            worker = min(self._workers, key=lambda one: sum(one is held for held, *_ in waiting))
            try:
                return worker, chunk, worker.pool.submit(_run, chunk)
            except BrokenProcessPool:  # it died; what it had in hand fails when its turn comes
                self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        worker.pool.shutdown(wait=False)
        self._ended.append(worker)
        fresh, k = self._start(worker.device), self._workers.index(worker)
        if not (problem := _said(fresh.pool.submit(_ready))):
            self._workers[k] = fresh
            return
        fresh.pool.shutdown(wait=False)
        del self._workers[k]
        _log.warning("GPU %s is left out: its worker ended, and another does not start: %s", worker.device, problem)
        if not self._workers:
            raise EngineError(f"no GPU is left to go on with: the worker of GPU {worker.device} ended, and another "
                              f"does not start: {problem}")  # fmt: skip

    def _start(self, device: str) -> Worker:
        spawn = multiprocessing.get_context("spawn")  # a forked child of a process that used CUDA cannot use it
        pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(device, self._share))
        return Worker(device, pool)


def _result(worker: Worker, chunk: list[ScanRef], future: Future[Any]) -> list[ScanRecord]:
    try:
        records, worker.times = future.result()
        return list(records)
    except BrokenProcessPool:
        said = f"the worker process of GPU {worker.device} ended"
        return [ScanRecord(ref.scan_id, "", "failed", "worker_died", "worker", said) for ref in chunk]


def _said(ready: Future[str]) -> str:
    """Waits until a worker has started: "", or why it has not."""
    try:
        return ready.result()
    except BrokenProcessPool as error:
        return f"its process ended: {error}"


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
    try:
        pipeline = Pipeline(share.models, share.config, kept_choice=share.choice)
    except Exception as error:
        _problem.append(f"{type(error).__name__}: {error}")
        return
    if (found := pipeline.facts.fixed["engine"]) != share.engine:
        _problem.append(f"expected the engine facts {share.engine}, found {found}")
        return
    _held.append(pipeline)


def _ready() -> str:
    return _problem[0] if _problem else ""


def _run(chunk: list[ScanRef]) -> tuple[list[ScanRecord], StageTimes]:
    (pipeline,) = _held
    return list(pipeline.stream(chunk)), pipeline.times()
