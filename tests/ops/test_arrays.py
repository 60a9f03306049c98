"""What crosses the border: kinds of arrays, strides and byte order, devices, threads, forks."""

from __future__ import annotations

import logging
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from layer_fast.errors import DeviceError
from layer_fast.ops import argmax_resample, build_info, resample
from layer_fast.ops._native import core

VOLUME = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
SHAPE = (3, 5, 7)


class FakeCuda:
    """What a CUDA array looks like from outside; its memory is never touched."""

    __cuda_array_interface__ = {"shape": (2, 3, 4), "typestr": "<f4", "data": (4096, False), "version": 3}  # noqa: RUF012


class FakeCudaDlpack:
    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


def test_torch_tensors_come_back_as_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(VOLUME)
    result = resample(tensor, SHAPE)
    assert isinstance(result, torch.Tensor)
    np.testing.assert_array_equal(result.numpy(), resample(VOLUME, SHAPE))
    out = torch.empty(SHAPE)
    assert resample(tensor, SHAPE, out=out) is out
    np.testing.assert_array_equal(out.numpy(), result.numpy())
    with pytest.raises(TypeError, match="share its memory by DLPack"):
        resample(tensor.requires_grad_(), SHAPE)


def test_other_dlpack_arrays_are_taken() -> None:
    class Other:
        def __dlpack__(self, **options: Any) -> Any:
            return VOLUME.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return VOLUME.__dlpack_device__()

    np.testing.assert_array_equal(resample(Other(), SHAPE), resample(VOLUME, SHAPE))


@pytest.mark.parametrize("view", ["strided", "fortran", "big endian", "read only"])
def test_unusual_memory_gives_the_same_bytes(view: str, caplog: pytest.LogCaptureFixture) -> None:
    array = {
        "strided": np.repeat(VOLUME, 2, axis=2)[..., ::2],
        "fortran": np.asfortranarray(VOLUME),
        "big endian": VOLUME.astype(">f4"),
        "read only": VOLUME.copy(),
    }[view]
    array.flags.writeable = False
    with caplog.at_level(logging.DEBUG, logger="layer_fast.ops"):
        np.testing.assert_array_equal(resample(array, SHAPE), resample(VOLUME, SHAPE))
    assert ("copied once" in caplog.text) == (view != "read only")


def test_out_is_the_result() -> None:
    out = np.full(SHAPE, -1, np.float32)
    assert resample(VOLUME, SHAPE, out=out) is out
    np.testing.assert_array_equal(out, resample(VOLUME, SHAPE))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        resample(VOLUME, SHAPE, out=out)


@pytest.mark.parametrize("array", [FakeCuda(), FakeCudaDlpack()])
def test_cuda_arrays_are_a_device_error_without_cuda(array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer_fast.ops._device.core", SimpleNamespace(cuda_kind="none"))
    with pytest.raises(DeviceError, match=r"\[resample\] expected volume on the CPU: this build has no CUDA"):
        resample(array, SHAPE)


def test_the_native_side_refuses_cuda_and_what_would_corrupt_memory() -> None:
    options = {"interpolation": "linear", "antialias": False, "grid_map": None, "window": None}
    options |= {"threads": 1, "stream": 0}
    with pytest.raises(DeviceError, match=r"\[resample\] expected "):  # no CUDA, no driver, or no such memory
        core.resample(FakeCuda(), FakeCuda(), None, **options)
    with pytest.raises(ValueError, match="one device"):
        core.resample(VOLUME, FakeCuda(), None, **options)
    with pytest.raises(ValueError, match="C-contiguous"):
        core.resample(VOLUME[..., ::2], VOLUME.copy(), None, **options)
    with pytest.raises(TypeError, match="native byte order"):
        core.resample(VOLUME.astype(">f4"), VOLUME.copy(), None, **options)
    with pytest.raises(TypeError, match="to be an array"):
        core.resample(None, VOLUME.copy(), None, **options)
    oblique = [1, 0.1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="workspace"):
        core.resample(VOLUME, VOLUME.copy(), None, **{**options, "interpolation": "bspline", "grid_map": oblique})
    with pytest.raises(ValueError, match="at most 5 axes"):
        core.resample(np.zeros((1,) * 6, np.float32), VOLUME.copy(), None, **options)


def test_many_python_threads_at_once() -> None:
    volume = np.random.default_rng(0).normal(size=(10, 60, 50)).astype(np.float32)
    expected = resample(volume, (12, 90, 70)).tobytes()
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda n: resample(volume, (12, 90, 70), threads=1 + n % 4).tobytes(), range(32))
    assert set(results) == {expected}


def _in_child(queue: Any) -> None:
    queue.put(resample(VOLUME, (40, 50, 70), threads=3).tobytes())


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_and_spawned_children_work(start: str) -> None:
    expected = resample(VOLUME, (40, 50, 70), threads=3).tobytes()  # threads have run before the fork
    context = multiprocessing.get_context(start)
    queue = context.Queue()
    child = context.Process(target=_in_child if start == "fork" else _spawned, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(60)


def _spawned(queue: Any) -> None:
    _in_child(queue)


@pytest.mark.parametrize(("value", "text"), [("3", "3"), ("", None), ("many", "got 'many'"), ("0", "got '0'")])
def test_layer_fast_threads(value: str, text: str | None) -> None:
    code = "from layer_fast.ops._native import core; print(core.resolve_threads(0))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "LAYER_FAST_THREADS": value}, capture_output=True, text=True
    )
    assert (text or "") in run.stdout + run.stderr
    if text is None:
        assert 1 <= int(run.stdout) <= len(os.sched_getaffinity(0))


def test_build_info_says_what_was_built() -> None:
    from layer_fast._version import __version__

    info = build_info()
    assert info["version"] == core.__version__ == __version__
    assert info["isa"] in info["isas"]
    assert "-ffp-contract=off" in info["flags"]
    assert "fast-math" not in info["flags"]
    assert info["cuda_devices"] or info["cuda_reason"]


def test_argmax_takes_torch_logits() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.from_numpy(np.stack([VOLUME, VOLUME[::-1]]).copy())
    assert argmax_resample(logits, SHAPE).dtype == torch.uint8
