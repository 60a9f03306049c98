"""What an engine is: a loaded graph that maps named arrays to named arrays on its own device."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class Engine(Protocol):
    """One graph ready to run. Not shared between lanes: each lane opens its own."""

    name: str
    device: str

    def run(self, feeds: Arrays, outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        """Run one batch. Raises EngineError with the graph's name, expected and found shapes."""
        ...


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
