"""Worker processes, one for each GPU: here on the CPU, where two workers must give what one pipeline gives."""

from __future__ import annotations

import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from engines.gpu import CARD
from layer_fast import gpus
from layer_fast.cohort import run_cohort
from layer_fast.config import make_config
from layer_fast.engines import cuda
from layer_fast.errors import ConfigError, EngineError
from layer_fast.gpus import GpuWorkers, device_names
from layer_fast.io import load_table
from layer_fast.pipeline import Pipeline

OPTIONS = {"methods": ("gradcam",), "engine": "onnxruntime", "scan_batch": 1, "lanes": 1}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 5)


def test_two_workers_give_what_one_pipeline_gives(models: Path, table: Path, tmp_path: Path) -> None:
    refs = load_table(table)
    pipeline = Pipeline(models, OPTIONS)
    expected = [replace(record, seconds={}) for record in pipeline.stream(refs)]
    workers = GpuWorkers(pipeline, ["0", "1"])
    try:
        found = [replace(record, seconds={}) for record in workers.stream(refs)]
        assert repr(found) == repr(expected), "the same records in the same order"
        assert "explain" in workers.times().seconds
        seen = [worker.pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result() for worker in workers._workers]
        assert seen == ["0", "1"]
        dead = workers._workers[1].pool.submit(os.abort)
        assert dead.exception() is not None
        assert [r.status for r in workers.stream(refs)] == ["ok"] * 5, "a new worker is there"
        dying: Future[Any] = Future()
        dying.set_exception(BrokenProcessPool("ended"))
        records = gpus._result(workers._workers[0], refs[:2], dying)
        assert [(r.scan_id, r.status, r.code) for r in records] == [
            (ref.scan_id, "failed", "worker_died") for ref in refs[:2]
        ]
    finally:
        workers.close()


def test_a_gpu_on_which_no_worker_starts_again_is_left_out(
    models: Path, table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refs = load_table(table)
    workers = GpuWorkers(Pipeline(models, OPTIONS), ["0", "1"])
    try:
        list(workers.stream(refs))
        spent = workers.times().seconds["explain"]
        workers._share = replace(workers._share, engine={"gpu": "gone"})
        workers._workers[1].pool.submit(os.abort).exception()
        assert [r.status for r in workers.stream(refs)] == ["ok"] * 5, "the other one does it all"
        assert [worker.device for worker in workers._workers] == ["0"]
        assert "GPU 1 is left out: its worker ended, and another does not start: expected the engine" in caplog.text
        assert workers.times().seconds["explain"] > spent, "and what the one that ended had spent still counts"
        workers._workers[0].pool.submit(os.abort).exception()
        with pytest.raises(EngineError, match=r"no GPU is left to go on with: the worker of GPU 0 ended"):
            list(workers.stream(refs))
    finally:
        workers.close()


def test_a_worker_with_another_engine_is_refused(models: Path) -> None:
    pipeline = Pipeline(models, OPTIONS)
    pipeline.facts.fixed["engine"]["gpu"] = "another card"
    with pytest.raises(EngineError, match=r"worker for GPU 0: expected the engine facts .*another card"):
        GpuWorkers(pipeline, ["0"])


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch, models: Path, table: Path, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((13, 0), (CARD,) * 3, None))
    assert device_names(2, "cuda") == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-ab,7")
    assert device_names(3, "cuda") == ["5", "GPU-ab", "7"]
    with pytest.raises(ConfigError, match="at most the 3 GPUs that are visible, got 4"):
        device_names(4, "cuda")
    assert make_config().gpus == 1
    with pytest.raises(ConfigError, match="option 'gpus': expected a run on cuda for 2 GPUs"):
        run_cohort(table, models, tmp_path / "out", {**OPTIONS, "gpus": 2})


def test_a_cohort_goes_through_the_workers(
    monkeypatch: pytest.MonkeyPatch, models: Path, table: Path, tmp_path: Path
) -> None:
    run_cohort(table, models, tmp_path / "one", OPTIONS)
    monkeypatch.setattr("layer_fast.runner.device_names", lambda count, device: [str(k) for k in range(count)])
    run = run_cohort(table, models, tmp_path / "two", {**OPTIONS, "gpus": 2})
    assert run.exit_code == 0 and "explain" in run.times.seconds
    one, two = ((tmp_path / name / "layers.parquet").read_bytes() for name in ("one", "two"))
    assert one == two
