"""Shared fixtures: thread counts, devices, and the rule that a GPU machine fails, not skips, without a GPU."""

from __future__ import annotations

import os

import pytest

# Every test and every command that a test starts: no reports to the maker of ONNX Runtime, and one engine on the CPU,
# because "auto" measures and may decide differently each time. tests/engines asks for what it tests.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("LAYER_FAST_ENGINE", "onnxruntime")
os.environ.setdefault("LAYER_FAST_DEVICE", "cpu")

THREADS = (1, 2, 5)


@pytest.fixture(params=THREADS, ids=lambda n: f"{n}threads")
def threads(request: pytest.FixtureRequest) -> int:
    """A thread count; results may not depend on it."""
    return int(request.param)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)])
def device(request: pytest.FixtureRequest) -> str:
    """A device that an op may run on."""
    return str(request.param)


def _why_no_cuda() -> str:
    from layer_fast import ops

    info = ops.build_info()
    return "" if info["cuda_devices"] else f"no CUDA: {info['cuda_reason']}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_cuda") is None:
        return
    if reason := _why_no_cuda():
        if os.environ.get("LAYER_FAST_REQUIRE_CUDA") == "1":
            pytest.fail(f"LAYER_FAST_REQUIRE_CUDA=1, but {reason}")
        pytest.skip(reason)
