"""Lanes on a GPU: all are open, with a call of every graph behind them, before the first scan; as many as it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.gpu import Emulated, emulate
from layer_fast.engines.reasons import DeviceFull
from layer_fast.errors import EngineError
from layer_fast.io import load_table
from layer_fast.pipeline import Pipeline

CONFIG = {"methods": ("gradcam", "layer_shapley"), "precision": "float32", "scan_batch": 2, "engine": "tensorrt"}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    return emulate(monkeypatch, tmp_path / "cache")


def contexts(gpu: Emulated, models: Path, lanes: int) -> int:
    """How many a pipeline of so many lanes makes."""
    gpu.tensorrt.calls.clear()
    assert Pipeline(models, {**CONFIG, "lanes": lanes}).lanes == lanes
    return len(gpu.tensorrt.named("context"))


def records(pipeline: Pipeline, table: Path) -> str:
    return repr([replace(record, seconds={}) for record in pipeline.stream(load_table(table))])


def test_lanes_are_ready_before_the_first_scan(gpu: Emulated, models: Path, table: Path) -> None:
    assert contexts(gpu, models, 3) - contexts(gpu, models, 2) == 3, "segmenter, forward and gradcam of the classifier"
    pipeline = Pipeline(models, {**CONFIG, "lanes": 2})
    gpu.tensorrt.calls.clear()
    records(pipeline, table)
    assert gpu.tensorrt.named("context") == [], "a run's batches are those of the rehearsal"


def test_a_gpu_without_room_for_all_lanes_gets_fewer(
    gpu: Emulated, models: Path, table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = records(Pipeline(models, {**CONFIG, "lanes": 3}), table)
    one, two = contexts(gpu, models, 1), contexts(gpu, models, 2)
    for room, lanes in ((two + 1, 2), (two - 1, 1), (one, 1)):
        gpu.tensorrt.calls.clear()
        gpu.tensorrt.room = room
        pipeline = Pipeline(models, {**CONFIG, "lanes": 3})
        assert pipeline.lanes == lanes and f"room for {lanes} of 3 lanes: " in caplog.messages[-1]
        assert gpu.machine.events[-1] == "pool freed", "what the lane left out had taken"
        assert records(pipeline, table) == expected


def test_no_room_for_one_lane_ends_the_run_before_it_begins(gpu: Emulated, models: Path) -> None:
    room = contexts(gpu, models, 1) - 1
    gpu.tensorrt.calls.clear()
    gpu.tensorrt.room = room
    with pytest.raises(DeviceFull, match=r"one lane: not enough GPU memory to call every graph once .*lower scan"):
        Pipeline(models, {**CONFIG, "lanes": 3})


def test_what_is_no_full_gpu_is_not_taken_for_one(
    gpu: Emulated, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(package: Any, config: Any) -> Any:
        raise EngineError("the kernel is not there")

    monkeypatch.setattr("layer_fast.steps.lanes.rehearsal", broken)
    with pytest.raises(EngineError, match="the kernel is not there"):
        Pipeline(models, CONFIG)
