"""The tests of ops that have a CUDA twin run on every twin: CPU, emulated CUDA, and CUDA where a GPU is there."""

from __future__ import annotations

import importlib

import pytest

import cuda_twins
import layer_fast.ops

# Files whose tests call ops with NumPy arrays. Marked cpu_only: what is the CPU twin's alone, as its threads are.
ON_ALL_TWINS = (
    "test_resample.py", "test_resample_labels.py", "test_argmax_resample.py", "test_layer_reduce.py",
    "test_layer_order.py", "test_layer_sums_order.py", "test_layer_weights.py", "test_layer_compose.py",
    "test_intensity_stats.py", "test_intensity_ranks.py", "test_normalize.py", "test_layer_batches.py",
    "test_volume_batches.py",
)  # fmt: skip
TWINS = ["cpu", "emulated", pytest.param("cuda", marks=pytest.mark.needs_cuda)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.path.name in ON_ALL_TWINS:
        metafunc.parametrize("twin", TWINS, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A number of threads says nothing to a device: there one of them is enough. Marked not_emulated: what takes the
    emulation a minute."""

    def idle(item: pytest.Item) -> bool:
        given = getattr(getattr(item, "callspec", None), "params", {})
        twin, marks = given.get("twin", "cpu"), {mark.name for mark in item.iter_markers()}
        slow = twin == "emulated" and "not_emulated" in marks
        return slow or (twin != "cpu" and ("cpu_only" in marks or given.get("threads", 1) != 1))

    if dropped := [item for item in items if idle(item)]:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if not idle(item)]


@pytest.fixture(autouse=True)  # pytest drops from a test what only pytest_generate_tests has named
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ops that a test calls take its arrays to this twin and bring the results back."""
    kind = str(getattr(request, "param", "cpu"))
    if kind == "cpu":
        return kind
    if kind == "emulated":
        core = cuda_twins.emulated_core()
        if isinstance(core, str):
            pytest.skip(core)
        cuda_twins.use_emulation(monkeypatch, core)
        to_device = cuda_twins.EmulatedArray
    else:
        to_device = importlib.import_module("cupy").asarray
    for name in cuda_twins.OPS:
        op = getattr(layer_fast.ops, name)
        moved = cuda_twins.on_device(op, to_device)
        monkeypatch.setattr(layer_fast.ops, name, moved)
        if getattr(request.module, name, None) is op:
            monkeypatch.setattr(request.module, name, moved)
    return kind
