"""How many inputs a call on a GPU takes: planned from free memory, halved while it is full, kept by the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from engines.gpu import emulate
from engines.test_placing import GPU, PROBE, Machine, machine  # noqa: F401  (a fixture)
from layer_fast.cohort import run_cohort
from layer_fast.config import make_config
from layer_fast.engines import cuda
from layer_fast.engines.placing import Trial, Wanted, may_use_gpu, place
from layer_fast.engines.reasons import DeviceFull, Unusable
from layer_fast.steps.memory import SHARE, GpuPlan, batches, fitting, halved, kept_batches, planned

ASKED = make_config({"scan_batch": 16, "coalition_batch": 64})
GB = 1 << 30


def sizes(config: Any) -> tuple[int, int]:
    return config.scan_batch, config.coalition_batch


@pytest.mark.parametrize(
    ("wanted", "item", "budget", "found"),
    [(64, 1, 64, 64), (64, 1, 63, 32), (64, 10, 100, 8), (3, 10, 10, 1), (48, 1, 13, 12), (5, 10, 0, 1), (1, 99, 1, 1)],
)
def test_the_largest_half_that_fits(wanted: int, item: int, budget: int, found: int) -> None:
    assert fitting(wanted, item, budget) == found


def test_the_plan_only_lowers_and_lanes_share_the_memory() -> None:
    assert sizes(planned(ASKED, [GB], 1000 * GB, 1)) == (16, 64)
    free = int(40 * GB / SHARE)
    assert sizes(planned(ASKED, [GB], free, 1)) == (16, 32)
    assert sizes(planned(ASKED, [GB // 2, GB], free, 4)) == (8, 8), "the largest model decides"
    assert sizes(planned(ASKED, [GB], GB // 2, 1)) == (1, 1)
    assert planned(ASKED, [GB], 1000 * GB, 1) == ASKED


def test_halving_ends_at_one() -> None:
    config, seen = ASKED, []
    while (fewer := halved(config)) is not None:
        config = fewer
        seen.append(sizes(config))
    assert seen == [(8, 32), (4, 16), (2, 8), (1, 4), (1, 2), (1, 1)]


def test_a_run_that_goes_on_keeps_its_batches() -> None:
    used = planned(ASKED, [GB], 10 * GB, 1)
    kept = {"batches": json.loads(json.dumps(batches(ASKED, used, used, 10 * GB)))}
    assert kept_batches(ASKED, kept) == used
    assert kept_batches(ASKED.model_copy(update={"scan_batch": 4}), kept) is None, "asked for something else"
    assert kept_batches(ASKED, {}) is None and kept_batches(ASKED, None) is None


def test_the_run_says_why_its_batches_are_lower() -> None:
    plan = GpuPlan(ASKED, ASKED, 10 * GB)
    assert plan.facts()["lowered"] == "no"
    lower = GpuPlan(ASKED, planned(ASKED, [GB], 10 * GB, 1), 10 * GB)
    assert lower.facts()["lowered"] == "by plan"
    assert lower.halve() and lower.facts()["lowered"] == "full"


class Filling(Machine):
    """Engines that find the GPU full above so many inputs."""

    def __init__(self, batch: int, fits: int) -> None:
        super().__init__()
        self.batch, self.fits, self.asked = batch, fits, batch
        self.needs = {"tensorrt": 1, "torch": 1, "onnxruntime": 1}  # memory of an input
        self.sizes: list[tuple[str, int]] = []

    def opened(self, name: str, probe: Any, device: str, precision: str) -> Any:
        if device == "cuda" and (name, self.batch) not in self.sizes:
            self.sizes.append((name, self.batch))
        if device == "cuda" and self.batch * self.needs[name] > self.fits:
            raise DeviceFull("a graph", "run", f"{self.batch} inputs")
        return super().opened(name, probe, device, precision)

    def smaller(self) -> bool:
        self.batch = self.batch // 2 if self.batch > 1 else 1
        return self.batch != self.last()

    def last(self) -> int:
        return self.sizes[-1][1]

    def planned(self) -> None:
        self.batch = self.asked

    def trial(self) -> Trial:
        return Trial(lambda: [PROBE], self.opened, self.smaller, self.planned)


@pytest.mark.usefixtures("machine")
def test_batches_are_halved_until_a_full_gpu_holds_them(caplog: pytest.LogCaptureFixture) -> None:
    wanted = Wanted("auto", "auto", "float32", 1)
    filling = Filling(8, 2)
    found = place(wanted, filling.trial())
    assert (found["chosen"], filling.batch, found["left_out"]) == ("tensorrt", 2, {})
    assert caplog.text.count("tried again with half the batches") == 2
    assert filling.sizes == [("tensorrt", 8), ("tensorrt", 4), ("tensorrt", 2)]


@pytest.mark.usefixtures("machine")
def test_where_one_input_is_too_much_the_next_engine_begins_with_the_planned_batches() -> None:
    filling = Filling(8, 4)
    filling.needs["tensorrt"] = 5
    found = place(Wanted("auto", "auto", "float32", 1), filling.trial())
    assert (found["chosen"], filling.batch) == ("torch", 4)
    assert "1 inputs" in found["left_out"]["tensorrt on cuda"]
    assert filling.sizes == [*(("tensorrt", n) for n in (8, 4, 2, 1)), ("torch", 8), ("torch", 4)]


def test_a_plan_goes_back_to_what_was_planned() -> None:
    plan = GpuPlan(ASKED, ASKED.model_copy(update={"scan_batch": 8, "coalition_batch": 4}), 10 * GB)
    for scans, coalitions in ((4, 2), (2, 1), (1, 1)):
        assert plan.halve()
        assert (plan.config.scan_batch, plan.config.coalition_batch) == (scans, coalitions)
    assert not plan.halve()
    plan.restart()
    assert (plan.config.scan_batch, plan.config.coalition_batch) == (8, 4)


def test_when_a_gpu_may_be_used(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def asked(engine: str = "auto", device: str = "auto", kept: Any = None) -> bool:
        return may_use_gpu(Wanted(engine, device, "auto", 1), kept)

    assert machine.driver is GPU
    assert asked() and asked(device="cuda") and asked("tensorrt") and asked("torch", "cuda")
    assert not asked("torch") and not asked(device="cpu") and not asked("openvino")
    assert asked(kept={"device": "cuda"}) and not asked(kept={"chosen": "onnxruntime"})
    assert asked(device="cuda", kept={"chosen": "onnxruntime"})
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((0, 0), (), Unusable("no_driver")))
    assert not asked("tensorrt")


def test_the_plan_of_a_run_is_written_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tiny.write_models(tmp_path / "models", ("bmode",))
    table = tiny.write_cohort(tmp_path / "cohort", 3)
    gpu = emulate(monkeypatch, tmp_path / "cache")
    runtime: Any = gpu.cupy.cuda.runtime  # type: ignore[attr-defined]
    options = {"methods": ("gradcam", "layer_shapley"), "engine": "tensorrt", "lanes": 1, "pictures": 0}

    def run() -> tuple[int, dict[str, Any]]:
        reused = run_cohort(table, models, tmp_path / "out", options).reused
        return reused, json.loads((tmp_path / "out" / "run.json").read_text())

    runtime.memGetInfo = lambda: (100 << 10, 1 << 30)
    _, written = run()
    plan = written["engine_choice"]["batches"]
    assert plan["asked"] == {"scan_batch": 4, "coalition_batch": 32} and plan["free_mb"] == 0
    assert plan["used"]["coalition_batch"] < 32
    assert written["config"]["coalition_batch"] == plan["used"]["coalition_batch"], "what was computed with"
    runtime.memGetInfo = lambda: (8 << 30, 16 << 30)
    options["engine"] = "auto"
    for name in ("LAYER_FAST_ENGINE", "LAYER_FAST_DEVICE"):
        monkeypatch.delenv(name)
    reused, written = run()
    assert reused == 3 and written["engine_choice"]["batches"]["used"] == plan["used"], "more memory moves no number"
