"""What a case of bench_gpu_ops.py is made of, and what it needs: array library, ndimage, torch, MONAI, sizes.

With NumPy, SciPy and PyTorch on the CPU in place of the GPU's libraries the same cases run at small sizes, which is how
the tests hold every peer's convention to ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LAYERS = 6
Call = Callable[[], Any]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Kit:
    """The libraries and the sizes. torch and monai may be None: their peers are then left out and named as absent.

    xp, ndimage: CuPy and cupyx.scipy.ndimage, or NumPy and scipy.ndimage. device: as torch names it.
    """

    xp: Any
    ndimage: Any
    torch: Any
    monai: Any
    device: str
    big: Shape = (512, 384, 256)
    net: Shape = (128, 128, 128)

    def tensor(self, array: Any) -> Any:
        return self.torch.as_tensor(array, device=self.device)

    def rng(self) -> Any:
        return self.xp.random.default_rng(0)


@dataclass(frozen=True)
class Peer:
    """What others call. like: our result (on the host) -> what the peer's should be; both arrays or tuples of them.

    convention: how it differs from ours, or "the same". limit: largest difference over the largest value, or with
    measure "fraction" the part of the voxels that differ. crop: voxels of each face that are not compared.
    """

    call: Call
    convention: str = "the same"
    like: Callable[[Any], Any] = lambda ours: ours
    limit: float = 1e-4
    measure: str = "relative"
    crop: int = 0


@dataclass(frozen=True)
class Case:
    """`ours` and the peers run on the current stream. wanted: the CPU twin's answer on the same inputs, which the tests
    hold to the float64 oracle. moved: bytes of inputs and outputs. tolerance: as a Peer's limit. how: one call or
    several. view: our result on the host -> what is compared with `wanted`."""

    name: str
    moved: int
    ours: Call
    wanted: Call
    tolerance: float = 1e-6
    measure: str = "relative"
    peers: dict[str, Peer] = field(default_factory=dict)
    how: str = "one call"
    view: Callable[[Any], Any] = lambda ours: ours


def case(name: str, moved: int, op: Any, *arguments: Any, out: Any = None, peers: Any = None, tolerance: float = 1e-6,
         measure: str = "relative", **options: Any) -> Case:  # fmt: skip
    """One call of one op, with and without a result array that is there already."""
    given = {} if out is None else {"out": out}
    return Case(
        name, moved, lambda: op(*arguments, **options, **given), lambda: on_host(op, arguments, options), tolerance,
        measure, peers or {},
    )  # fmt: skip


def on_host(op: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """What the CPU twin says."""
    return op(*(to_host(one) for one in arguments), **{name: to_host(one) for name, one in options.items()})


def to_host(value: Any) -> Any:
    """The same with NumPy arrays in place of a device's and of torch's, also inside lists, tuples, statistics."""
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    if hasattr(value, "__cuda_array_interface__"):
        return value.get()
    if isinstance(value, list | tuple):
        return tuple(to_host(one) for one in value)
    if hasattr(value, "__dataclass_fields__"):
        return type(value)(**{name: to_host(getattr(value, name)) for name in value.__dataclass_fields__})
    return value


def blocks(kit: Kit, shape: Shape) -> Any:
    """Labels in wavy layers along y: smooth regions, as tissue has."""
    xp = kit.xp
    z, y, x = (xp.arange(n, dtype=np.float32) for n in shape)
    depth = y[None, :, None] / shape[1] + 0.02 * xp.sin(x[None, None, :] / 9) + 0.02 * xp.cos(z[:, None, None] / 11)
    return xp.clip(depth * (LAYERS + 1), 0, LAYERS).astype(np.uint8)
