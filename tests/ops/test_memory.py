"""Memory that `out` shares with what an operation reads, and memory that is not aligned."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from layer_fast import ops

GRID = (2, 4, 4)
FLOATS = np.random.default_rng(5).normal(size=GRID).astype(np.float32)
LABELS = np.random.default_rng(6).integers(0, 3, GRID).astype(np.uint8)


def unaligned(array: NDArray[Any]) -> NDArray[Any]:
    """The same values one byte off."""
    moved = np.frombuffer(bytearray(b"\0" + array.tobytes()), array.dtype, offset=1).reshape(array.shape)
    assert not moved.flags.aligned
    return moved


def bytes_view(array: NDArray[Any], dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of another kind in the last bytes of `array`."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return array.reshape(-1).view(np.uint8)[-size:].view(dtype).reshape(shape)


def compose(name: str) -> None:
    image, labels, coalitions, fill = FLOATS[None].copy(), LABELS.copy(), np.ones((1, 3), bool), np.zeros((1, 3), "f4")
    out = np.zeros((1, 1, *GRID), np.float32)
    if name == "image":
        image = out[0]
    elif name == "labels":
        labels = bytes_view(out, np.uint8, GRID)
    elif name == "coalitions":
        coalitions = bytes_view(out, np.bool_, (1, 3))
    else:
        fill = bytes_view(out, np.float32, (1, 3))
    ops.layer_compose(image, labels, coalitions, fill_values=fill, out=out)


def resample_volume() -> None:
    volume = FLOATS.copy()
    ops.resample(volume, GRID, grid_map=np.diag([1, 1, -1, 1]), out=volume)


def resample_nearest() -> None:
    labels = LABELS.copy()
    ops.resample_labels(labels, GRID, out=labels[:, ::1])


def resample_fractions() -> None:
    out = np.zeros((3, *GRID), np.float32)
    ops.resample_labels(bytes_view(out, np.uint8, GRID), GRID, mode="fraction", num_labels=3, out=out)


def argmax() -> None:
    logits = np.stack([FLOATS, -FLOATS])
    ops.argmax_resample(logits, GRID, out=bytes_view(logits, np.uint8, GRID))


def normalize_shifted() -> None:
    memory = np.concatenate([FLOATS, FLOATS])
    ops.normalize(memory[:2], out=memory[1:3])


@pytest.mark.parametrize(
    ("call", "op", "name"),
    [
        (resample_volume, "resample", "volume"),
        (resample_nearest, "resample_labels", "labels"),
        (resample_fractions, "resample_labels", "labels"),
        (argmax, "argmax_resample", "logits"),
        (normalize_shifted, "normalize", "volume"),
        *((lambda name=name: compose(name), "layer_compose", name)
          for name in ("image", "labels", "coalitions", "fill_values")),
    ],
)  # fmt: skip
def test_out_may_share_no_memory_with_what_is_read(call: Callable[[], None], op: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"\[{op}\] expected out to share no memory with {name}, got"):
        call()


def test_torch_tensors_share_memory_too() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(FLOATS.copy())
    with pytest.raises(ValueError, match="share no memory with volume"):
        ops.resample(tensor, GRID, out=tensor)


def test_neighbours_in_one_memory_are_fine() -> None:
    memory = np.concatenate([FLOATS, FLOATS])
    assert ops.resample(memory[:2], GRID, out=memory[2:]).base is memory
    np.testing.assert_array_equal(memory[2:], FLOATS)


@pytest.mark.parametrize("dtype", ["float32", "int16", ">f4"])
def test_unaligned_arrays_are_copied_once(dtype: str, caplog: pytest.LogCaptureFixture) -> None:
    array = (FLOATS * 100).astype(dtype)
    with caplog.at_level(logging.DEBUG, logger="layer_fast.ops"):
        got = ops.resample(unaligned(array), (3, 5, 7))
    assert caplog.text.count("volume was copied once") == 1
    np.testing.assert_array_equal(got, ops.resample(array, (3, 5, 7)))


def test_unaligned_maps_and_weights_are_read() -> None:
    expected = ops.layer_reduce(FLOATS, LABELS).sum
    np.testing.assert_array_equal(ops.layer_reduce(unaligned(FLOATS), LABELS).sum, expected)
    np.testing.assert_array_equal(ops.layer_reduce(unaligned(FLOATS.astype("f8")), LABELS).sum, expected)


def test_an_unaligned_out_is_refused_as_that() -> None:
    with pytest.raises(ValueError, match=r"\[resample\] expected out aligned to 4 bytes, got an address"):
        ops.resample(FLOATS, GRID, out=unaligned(FLOATS))
