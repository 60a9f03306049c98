"""What an engine is: a loaded graph that maps named arrays to named arrays on its own device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError

if TYPE_CHECKING:
    import onnx

Arrays = dict[str, NDArray[Any]]


class Engine(Protocol):
    """One graph ready to run. Not shared between lanes: each lane opens its own.

    device: "cpu" or "cuda". An engine on a GPU takes NumPy arrays (copied) or CuPy arrays and torch tensors of its GPU
    (not copied), and gives back what it was given.
    """

    name: str
    device: str

    def run(self, feeds: Arrays, outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        """Run one batch. Raises EngineError with the graph's name, expected and found shapes."""
        ...


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large a graph's inputs are in a run, for engines that are built for sizes. usual, largest: items of a batch.
    grid: (z, y, x) of an image, None along an axis of any extent."""

    usual: int = 1
    largest: int = 8
    grid: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """An input of a graph. shape: None where a size is open; the whole is None where the rank is open."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None

    @classmethod
    def of(cls, value: onnx.ValueInfoProto) -> Port:
        """From a graph's own declaration."""
        from onnx import helper

        kind = value.type.tensor_type
        shape = None
        if kind.HasField("shape"):
            shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
        return cls(value.name, np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape)

    def takes(self, array: NDArray[Any], also: Sequence[Any] = ()) -> bool:
        """Whether the array has this type (or one of `also`, if this is a floating one) and fits this shape."""
        if array.dtype != self.dtype and not (self.dtype.kind == "f" and array.dtype in also):
            return False
        if self.shape is None:
            return True
        fits = [size is None or size == found for size, found in zip(self.shape, array.shape, strict=False)]
        return len(self.shape) == array.ndim and all(fits)

    def __str__(self) -> str:
        sizes = "[...]" if self.shape is None else str(["?" if n is None else n for n in self.shape]).replace("'", "")
        return f"{self.name} {self.dtype}{sizes}"


def describe(feeds: Arrays) -> str:
    """Names, types and shapes, for messages."""
    return ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feeds.items()) or "nothing"


def check_feeds(label: str, ports: Sequence[Port], feeds: Arrays, also: Sequence[Any] = ()) -> None:
    """Raise EngineError unless the feeds are exactly the graph's inputs, each with its type and shape."""
    wanted = {port.name: port for port in ports}
    for name in feeds:
        if name not in wanted:
            raise feed_error(label, f"no input {name!r}", ports, feeds)
    for port in ports:
        if port.name not in feeds:
            raise feed_error(label, f"input {port.name!r} is missing", ports, feeds)
        if not port.takes(feeds[port.name], also):
            raise feed_error(label, f"input {port.name!r} does not fit", ports, feeds)


def feed_error(label: str, why: str, ports: Sequence[Port], feeds: Arrays) -> EngineError:
    expected = ", ".join(map(str, ports))
    return EngineError(f"{label}: {why}; expected {expected}; got {describe(feeds)}")


def padded_batches(count: int, size: int) -> list[tuple[int, int]]:
    """(start, stop) of consecutive batches of at most `size`."""
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def run_padded(engine: Engine, feeds: Arrays, outputs: tuple[str, ...], size: int) -> list[NDArray[Any]]:
    """Run `feeds` in batches of exactly `size` along axis 0, the last one padded by repeating its last item.

    Engines may change low bits with the batch size, so that a result must not depend on how many
    neighbours it had: every call has the same size. Returns the outputs with the padding cut off.
    """
    count = next(iter(feeds.values())).shape[0]
    parts: list[list[NDArray[Any]]] = []
    for start, stop in padded_batches(count, size):
        chunk = {name: array[start:stop] for name, array in feeds.items()}
        if stop - start < size:
            missing = size - (stop - start)
            chunk = {n: np.concatenate([a, np.repeat(a[-1:], missing, axis=0)]) for n, a in chunk.items()}
        parts.append([out[: stop - start] for out in engine.run(chunk, outputs)])
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
