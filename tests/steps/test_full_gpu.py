"""A GPU that fills up in the middle of a run: pools are emptied, every scan is tried again, and only those for which
there is still no room are lost to this start."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.gpu import emulate
from layer_fast.engines import cuda
from layer_fast.engines.device_arrays import give_back_unused
from layer_fast.engines.reasons import DeviceFull, Unusable
from layer_fast.errors import DeviceError
from layer_fast.steps.guarded import Work, advance
from layer_fast.steps.place import Host, OnGpu
from layer_fast.timing import StageTimes
from layer_fast.types import ScanRef


class Gpu(Host):
    """A place that counts what is asked of it."""

    on_gpu = True

    def __init__(self, room: int) -> None:
        self.room, self.releases = room, 0

    def release(self) -> None:
        self.releases += 1


def works(n: int) -> list[Work]:
    return [Work(ScanRef(scan_id=f"s{i}", subject=f"p{i}")) for i in range(n)]


def run(place: Any, verb: Callable[[list[str]], list[str]], n: int = 3) -> list[Work]:
    lane: Any = SimpleNamespace(place=place, times=StageTimes(), device="cuda" if place.on_gpu else "cpu")
    found = works(n)
    advance("explain", found, lane, take=lambda w: w.ref.scan_id, verb=verb, put=lambda w, got: w.flag(got))
    return found


def codes(found: list[Work]) -> list[str]:
    return [work.failure.code if work.failure else "".join(work.flags) for work in found]


def test_a_pool_that_gives_back_saves_every_scan(caplog: pytest.LogCaptureFixture) -> None:
    gpu = Gpu(0)

    def verb(items: list[str]) -> list[str]:
        if not gpu.releases:
            raise DeviceFull("a graph", "run", f"{len(items)} inputs")
        return [item.upper() for item in items]

    assert codes(run(gpu, verb)) == ["S0", "S1", "S2"]
    assert gpu.releases == 1 and "the GPU was full" in caplog.text and "tried again" in caplog.text


FULL = [
    MemoryError("out of memory"),  # what CuPy's error is
    DeviceError("[layer_reduce] expected memory, got CUDA error 2: out of memory"),  # a native operation's
    RuntimeError("cudaErrorMemoryAllocation: out of memory"),  # CuPy's, of its runtime
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_scan_alone_has_one_more_try_and_no_more(error: Exception) -> None:
    gpu, calls = Gpu(0), []

    def verb(items: list[str]) -> list[str]:
        calls.append(list(items))
        raise error

    assert codes(run(gpu, verb, 1)) == ["out_of_memory"]
    assert calls == [["s0"], ["s0"]] and gpu.releases == 1


def test_only_what_does_not_fit_is_lost() -> None:
    gpu = Gpu(0)

    def verb(items: list[str]) -> list[str]:
        if len(items) > 1 or items == ["s1"]:
            raise DeviceFull("a graph", "run", "no room")
        return items

    assert codes(run(gpu, verb)) == ["s0", "out_of_memory", "s2"]


@pytest.mark.parametrize("place", [Host(), Gpu(0)], ids=["host", "gpu"])
def test_other_errors_and_the_host_have_no_second_try(place: Any) -> None:
    calls = []

    def verb(items: list[str]) -> list[str]:
        calls.append(list(items))
        raise MemoryError if place.on_gpu is False else ValueError("bad")

    code = "out_of_memory" if place.on_gpu is False else "internal:ValueError"
    assert codes(run(place, verb, 1)) == [code]
    assert calls == [["s0"]] and getattr(place, "releases", 0) == 0


def test_nothing_of_the_failed_call_is_alive_when_the_pools_are_emptied() -> None:
    class Held:
        pass

    seen: list[bool] = []

    class Watching(Gpu):
        def release(self) -> None:
            super().release()
            seen.append(watched[0]() is None)

    gpu, watched = Watching(0), []

    def verb(items: list[str]) -> list[str]:
        held = Held()
        if not watched:
            watched.append(weakref.ref(held))
            raise DeviceFull("a graph", "run", "no room")
        return items

    assert codes(run(gpu, verb)) == ["s0", "s1", "s2"]
    assert seen == [True]


def test_a_lane_on_the_gpu_empties_cupys_pool_behind_its_own_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpu = emulate(monkeypatch, tmp_path)
    place = OnGpu(gpu.cupy)
    place.release()
    assert gpu.machine.events[-2:] == [f"host waits for {place._stream.ptr:#x}", "pool freed"]


def test_without_a_gpu_no_pool_is_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = emulate(monkeypatch, tmp_path)
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((0, 0), (), Unusable("no_driver")))
    give_back_unused()
    assert "pool freed" not in gpu.machine.events
