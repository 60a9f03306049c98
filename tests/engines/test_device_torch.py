"""GPU memory by PyTorch, with an emulated torch.cuda: what is asked of it where lanes share the process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from layer_fast.engines.device_torch import TorchStream


class Cuda:
    """torch.cuda with streams and graphs that keep how they were recorded."""

    def __init__(self) -> None:
        self.modes: list[str] = []
        self.recording, self.most = 0, 0
        self.replayed: list[Any] = []

    def Stream(self) -> Any:
        return SimpleNamespace(cuda_stream=17)

    def CUDAGraph(self) -> Any:
        made = SimpleNamespace()
        made.replay = lambda: self.replayed.append(made)
        return made

    def stream(self, stream: Any) -> Any:
        return nullcontext()

    @contextmanager
    def graph(self, graph: Any, *, stream: Any, capture_error_mode: str = "global") -> Iterator[None]:
        self.modes.append(capture_error_mode)
        self.recording += 1
        self.most = max(self.most, self.recording)
        try:
            yield
        finally:
            self.recording -= 1


def test_recording_disturbs_no_other_lane() -> None:
    """In the mode "global" a thread that takes memory meanwhile gets an error. And torch records one at a time."""
    cuda = Cuda()
    lanes = [TorchStream(SimpleNamespace(cuda=cuda)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        launches = list(pool.map(lambda lane: lane.captured(lambda: time.sleep(0.05)), lanes))
    assert cuda.modes == ["thread_local"] * 3 and cuda.most == 1
    for launch in launches:
        launch()
    assert len(cuda.replayed) == 3


def test_torch_has_the_mode() -> None:
    import inspect

    torch = pytest.importorskip("torch")
    assert "capture_error_mode" in inspect.signature(torch.cuda.graph.__init__).parameters
