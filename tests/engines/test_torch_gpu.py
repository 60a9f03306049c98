"""The torch engine as it is on a GPU, as far as no GPU is needed: switches of the process, and what torch says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tiny
from layer_fast.engines.reasons import DeviceFull
from layer_fast.errors import EngineError

torch = pytest.importorskip("torch")

from layer_fast.engines.torch import engine as module  # noqa: E402  (it imports torch)
from layer_fast.engines.torch.engine import TorchEngine  # noqa: E402
from layer_fast.engines.torch.exact import exact  # noqa: E402

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCompile with TORCH_USE_CUDA_DSA"
FULL = "CUDA out of memory. Tried to allocate 9 GiB"
IMAGE = np.random.default_rng(0).random((2, 1, *tiny.GRID), np.float32)


def switches() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    return cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, torch.get_float32_matmul_precision()


@pytest.fixture
def users() -> Any:
    """Switches that a user has set."""
    before = switches()
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, True
    torch.set_float32_matmul_precision("high")
    yield switches()
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, precision = (
        before
    )
    torch.set_float32_matmul_precision(precision)


def test_tf32_stays_off_until_the_last_lane_is_done(users: tuple[Any, ...]) -> None:
    first, second = exact(), exact()
    first.__enter__()
    assert switches() == (False, True, False, "highest")
    second.__enter__()
    first.__exit__(None, None, None)
    assert switches() == (False, True, False, "highest"), "the other lane still computes"
    second.__exit__(None, None, None)
    assert switches() == users
    with pytest.raises(ValueError, match="of the body"), exact():
        raise ValueError("of the body")
    assert switches() == users


def raising(error: Exception) -> Callable[..., Any]:
    def refuses(*_: Any, **__: Any) -> Any:
        raise error

    return refuses


CASES = (
    (torch.cuda.OutOfMemoryError(FULL), DeviceFull, "the graph: not enough GPU memory to {} .CUDA out of memory"),
    (RuntimeError(NO_KERNEL), EngineError, r"the graph: torch \S+ could not {} on cpu: CUDA error: no kernel image"),
)


@pytest.mark.parametrize(("error", "kind", "words"), CASES, ids=["full", "no kernel"])
def test_words_of_torch_are_engine_errors(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[EngineError], words: str
) -> None:
    """So that a run goes on with the next engine, or with half the batches."""
    engine = TorchEngine(tiny.classifier(1), label="the graph")
    monkeypatch.setattr(torch, "from_numpy", raising(error))
    with pytest.raises(kind, match=words.format("run")):
        engine.run({"image": IMAGE}, ("logits",))
    monkeypatch.setattr(module, "Program", raising(error))
    with pytest.raises(kind, match=words.format("load the weights")):
        TorchEngine(tiny.classifier(1), label="the graph")


@pytest.mark.parametrize("words", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"])
def test_cudas_own_words_for_a_full_gpu(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """torch names its allocator's errors alone; on the CPU the same words are no full GPU."""
    engine = TorchEngine(tiny.classifier(1), label="the graph")
    monkeypatch.setattr(torch, "from_numpy", raising(RuntimeError(words)))
    with pytest.raises(EngineError, match="could not run on cpu") as on_cpu:
        engine.run({"image": IMAGE}, ("logits",))
    assert not isinstance(on_cpu.value, DeviceFull)
    monkeypatch.setattr(engine, "device", "cuda")
    with pytest.raises(DeviceFull, match="the graph: not enough GPU memory to run"):
        engine.run({"image": IMAGE}, ("logits",))
