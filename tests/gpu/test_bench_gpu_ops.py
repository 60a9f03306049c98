"""bench_gpu_ops.py without a GPU: the same cases over NumPy, SciPy, PyTorch and MONAI at small sizes."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import bench_gpu_ops as bench
import page
from layer_fast import ops
from on_gpu import cases_batched as batches
from on_gpu.agreement import apart
from on_gpu.case import Case, Kit, Peer

GROUPS = {group.__name__: group for group in bench.GROUPS}
MACHINE = {"gpu": "a card", "capability": "9.0", "copy_gb_per_s": 4000.0, "cupy": "14", "torch": None, "commit": "abc",
           "absent": {"torch": "ModuleNotFoundError: no torch"}}  # fmt: skip


def kit(torch: Any = None, monai: Any = None) -> Kit:
    return Kit(np, ndimage, torch, monai, "cpu", (64, 48, 32), (32, 32, 32))


def timer(call: Callable[[], Any]) -> list[float]:
    call()
    return [1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", GROUPS)
def test_every_case_and_every_peer_agrees(name: str) -> None:
    torch = pytest.importorskip("torch")
    monai = bench.optional("monai.transforms")[0] and bench.optional("monai")[0]
    for case in GROUPS[name](kit(torch, monai)):
        found = bench.measured(case, 100.0, timer)
        assert found["difference"] == 0, case.name
        failed = {peer: verdict["failed"] for peer, verdict in found["peers"].items() if "failed" in verdict}
        assert failed == {}, case.name
        assert all(verdict["ms"]["median"] == 2 for verdict in found["peers"].values())


def test_without_torch_its_peers_are_left_out() -> None:
    names = {peer for group in bench.GROUPS for case in group(kit()) for peer in case.peers}
    assert names and all(name.startswith("cupy") for name in names)


def test_a_wrong_answer_of_ours_is_a_failure_and_not_timed() -> None:
    wrong = Case("one", 8, lambda: np.array([1.0, 2.001]), lambda: np.array([1.0, 2.0]))
    found = bench.entry(wrong, 1.0, lambda _: pytest.fail("timed"))
    assert "differs from the CPU twin by 0.0005" in found["failed"]
    missing = dataclasses.replace(wrong, ours=lambda: np.array([1.0, np.nan]))
    assert "by inf" in bench.entry(missing, 1.0, timer)["failed"]


def test_a_peer_that_differs_fails_or_is_missing_is_not_timed() -> None:
    def broken() -> Any:
        raise RuntimeError("no kernel")

    ours, called = np.array([1.0, 2.0]), []
    peers = {
        "right": Peer(lambda: np.array([2.0, 4.0]), "doubled", like=lambda o: 2 * o),
        "wrong": Peer(lambda: called.append(1) or np.array([1.0, 2.1])),
        "shape": Peer(lambda: np.ones(3)),
        "broken": Peer(broken),
    }
    found = bench.measured(Case("one", 8, lambda: ours, ours.copy, peers=peers), 1.0, timer)["peers"]
    assert found["right"]["difference"] == 0 and found["right"]["ms"]["rounds"] == 3
    assert "differs by 0.05" in found["wrong"]["failed"] and "ms" not in found["wrong"] and called == [1]
    assert "shape" in found["shape"]["failed"] and found["shape"]["difference"] is None
    assert found["broken"]["failed"] == "RuntimeError: no kernel"
    json.dumps(found, allow_nan=False)


def test_a_batch_is_one_call_only_where_it_gives_each_scans_numbers() -> None:
    scans = np.random.default_rng(0).random((4, 5, 6, 7))

    def refusing(scan: Any) -> Any:
        if scan.ndim != 3:
            raise ValueError("expected three axes")
        return scan.sum(0)

    for op, words in ((refusing, "4 calls on one stream"), (lambda s: s - s.mean(), "4 calls on one stream"),
                      (lambda s: s.sum(-3), "one call of a batch")):  # fmt: skip
        case = batches.several("one", 1, op, [scans])
        assert case.how == words
        assert bench.measured(case, 1.0, timer)["difference"] == 0


def test_statistics_of_a_batch_are_compared_field_by_field() -> None:
    rng = np.random.default_rng(1)
    maps, labels = rng.random((3, 4, 5, 6), np.float32), rng.integers(0, 3, (3, 4, 5, 6)).astype(np.uint8)
    each = [ops.layer_reduce(maps[i], labels[i], num_layers=2) for i in range(3)]
    whole = dataclasses.replace(each[0], **{
        name: np.concatenate([getattr(one, name) for one in each])
        for name in ("count", "nonfinite", "weight", "sum", "sum_sq", "sum_abs", "sum_pos", "min", "max", "argmax")
    })  # fmt: skip
    assert apart(batches.numbers([whole]), batches.numbers(each)) == 0
    whole.max[2, 1] += 1
    assert apart(batches.numbers([whole]), batches.numbers(each)) > 0


def test_it_goes_on_where_it_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun: list[str] = []

    def some(_: Kit) -> Iterator[Case]:
        for name, value in (("good", 1.0), ("bad", 2.0)):
            yield Case(name, 4, lambda n=name: begun.append(n) or np.ones(1), lambda v=value: np.full(1, v))
        raise MemoryError("no room")

    monkeypatch.setattr(bench, "GROUPS", (some,))
    path = tmp_path / "new" / "found.json"
    results: dict[str, Any] = {"machine": MACHINE, "cases": {}}
    assert not bench.run(kit(), results, timer, path, -1) and not begun
    assert bench.run(kit(), results, timer, path, 60)
    held = json.loads(path.read_text())["cases"]
    assert "failed" in held["bad"] and "MemoryError: no room" in held[list(held)[-1]]["failed"]
    again = {"machine": MACHINE, "cases": bench.earlier(path, MACHINE)}
    assert list(again["cases"]) == ["good"]
    begun.clear()
    bench.run(kit(), again, timer, path, 60)
    assert begun == ["bad"], "what is good stays, what failed is tried again"
    assert bench.earlier(path, MACHINE | {"commit": "other"}) == {}


class FakeCupy(types.ModuleType):
    """NumPy under CuPy's name, with a card and events that say what CuPy's say."""

    float32, __version__ = np.float32, "14"

    def __init__(self) -> None:
        super().__init__("cupy")
        clock = iter(range(10**9))

        class Event:
            def record(self) -> None:
                self.at = next(clock)

            def synchronize(self) -> None:
                assert self.at

        properties = {"name": b"a card", "major": 9, "minor": 0, "multiProcessorCount": 132, "totalGlobalMem": 10**9}
        runtime = types.SimpleNamespace(
            getDeviceProperties=lambda _: properties, driverGetVersion=lambda: 13000, deviceSynchronize=lambda: None
        )
        self.cuda = types.SimpleNamespace(
            runtime=runtime, Event=Event, get_elapsed_time=lambda a, b: 0.001 * (b.at - a.at)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, CuPy, and nothing else."""
    cupyx = types.ModuleType("cupyx.scipy")
    cupyx.ndimage = ndimage  # type: ignore[attr-defined]
    for name, module in (("cupy", FakeCupy()), ("cupyx", types.ModuleType("cupyx")), ("cupyx.scipy", cupyx)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(ops, "build_info", lambda: {"cuda_emulated": False, "cuda_devices": 1, "cuda_reason": ""})
    monkeypatch.setattr(bench, "COPIED", 1000)
    monkeypatch.setattr(bench, "Kit", lambda *libraries: Kit(*libraries, (64, 48, 32), (32, 32, 32)))


@pytest.mark.usefixtures("card")
def test_the_whole_command_runs_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.json"
    assert bench.main(["--out", str(out), "--seconds", "-1"]) == 0
    assert "out of time" in capsys.readouterr().out and not out.exists()
    assert bench.main(["--out", str(out)]) == 0
    said, held = capsys.readouterr().out, json.loads(out.read_text())
    assert "Absent: torch: " in said and held["machine"]["torch"] is None and held["machine"]["copy_gb_per_s"] > 0
    assert len(held["cases"]) > 35 and all(entry["ms"]["rounds"] == bench.ROUNDS for entry in held["cases"].values())
    before = out.stat().st_mtime_ns
    assert bench.main(["--out", str(out)]) == 0
    assert out.stat().st_mtime_ns == before, "nothing was left to measure"


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    if ops.build_info()["cuda_devices"]:
        pytest.skip("there is a GPU")
    assert bench.main([]) == 1
    assert "no CUDA device: " in capsys.readouterr().err


def test_the_page_shows_what_was_found_or_that_nothing_was_run() -> None:
    text = "".join(f"<!-- generated: {n} -->\n<!-- end: {n} -->\n" for n in ("gpu_ops", "gpu_sanitize", "gpu_engines"))
    for name in ("gpu_ops", "gpu_sanitize", "gpu_engines"):
        assert f"Not run yet: no {name}.json" in page.fill(text, {})
    peers = {"cupy clip": Peer(lambda: np.ones(1)), "cupyx zoom": Peer(lambda: np.zeros(1))}
    case = Case("a case", 8_000_000_000, lambda: np.ones(1), lambda: np.ones(1), peers=peers, how="8 calls")
    entry = bench.measured(case, 4000.0, timer)
    shown = page.fill(text, {"gpu_ops": {"machine": MACHINE, "cases": {"a case": entry, "b": {"failed": "no"}}}})
    assert "Absent: torch: ModuleNotFoundError" in shown and "**not timed: no**" in shown
    assert "| a case | 8 calls | 2 | 1.2-2.8 | 8000 | 4000 | 100% | 0 | cupy clip 2 ms" in shown
    assert "cupyx zoom: not timed: differs by 1" in shown
    tools = {"memcheck": {"planted_fault_found": True, "clean": False}}
    assert "| memcheck | found | **not clean** |" in page.fill(text, {"gpu_sanitize": {"commit": "a", "tools": tools}})
