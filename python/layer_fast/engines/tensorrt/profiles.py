"""Which sizes an engine is built for: smallest, usual and largest shape of each input."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import EngineError
from ..base import Port, Sizes

Shape = tuple[int, ...]
Profile = dict[str, tuple[Shape, Shape, Shape]]
"""Input -> (smallest, usual, largest) shape."""

ALONE = (1, 32, 512)
"""Slices of one scan, where a graph takes any number: a batch of one."""
TOGETHER = (1, 16, 64)
"""Slices of each of several composed inputs."""


def profiles(label: str, ports: Sequence[Port], sizes: Sizes) -> list[Profile]:
    """The profiles of a graph: one, or two where the number of slices is open: a scan alone, and several at once.

    The first axis of an input is the batch; other open axes are filled by `sizes.grid` from the last one on. Raises
    EngineError where an axis stays open, naming it.
    """
    batch = (1, sizes.usual, max(sizes.usual, sizes.largest))
    if not any(_slices(port, sizes) for port in ports):
        return [_profile(label, ports, sizes, batch, ALONE)]
    return [
        _profile(label, ports, sizes, (1, 1, 1), ALONE),
        _profile(label, ports, sizes, (1, min(2, batch[2]), batch[2]), TOGETHER),
    ]


def fitting(found: Sequence[Profile], shapes: dict[str, Shape]) -> int | None:
    """The number of the first profile that holds these shapes, None if there is none."""
    for number, profile in enumerate(found):
        if all(_holds(profile[name], shape) for name, shape in shapes.items()):
            return number
    return None


def described(found: Sequence[Profile]) -> str:
    """For messages: "image [1, 1, 12, 160, 32] to [32, 1, 12, 160, 32]"."""
    return " or ".join(
        ", ".join(f"{name} {list(low)} to {list(high)}" for name, (low, _, high) in profile.items())
        for profile in found
    )


def _holds(sizes: tuple[Shape, Shape, Shape], shape: Shape) -> bool:
    low, _, high = sizes
    return len(low) == len(shape) and all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))


def _grid_axis(port: Port, axis: int, sizes: Sizes) -> int | None:
    """Which axis of the grid an axis of an input is; None for batch, channels, and inputs that are no image."""
    before = len(port.shape or ()) - len(sizes.grid)
    return axis - before if before >= 2 and axis >= before else None


def _slices(port: Port, sizes: Sizes) -> bool:
    """Whether an axis of the grid is open in the graph and in the manifest."""
    axes = ((size, _grid_axis(port, k, sizes)) for k, size in enumerate(port.shape or ()))
    return any(size is None and k is not None and sizes.grid[k] is None for size, k in axes)


def _profile(
    label: str, ports: Sequence[Port], sizes: Sizes, batch: tuple[int, int, int], slices: tuple[int, int, int]
) -> Profile:
    made: Profile = {}
    for port in ports:
        if port.shape is None:
            raise EngineError(f"{label}: input {port.name!r}: expected a known number of axes, found none")
        columns = []
        for k, size in enumerate(port.shape):
            axis = _grid_axis(port, k, sizes)
            if size is None and k > 0 and axis is None:
                raise EngineError(f"{label}: input {port}: axis {k} is open, and no grid says its size")
            wanted = size if size is not None else batch if k == 0 else sizes.grid[axis or 0]
            columns.append(slices if wanted is None else wanted if isinstance(wanted, tuple) else (wanted,) * 3)
        low, usual, high = (tuple(column[i] for column in columns) for i in range(3))
        made[port.name] = (low, usual, high)
    return made
