"""What a case of the ops is: inputs, our call, the oracle, the convention, the goals.

`build` makes the arrays of one size; nothing large is made on import. Goals are (at least, aim): how many times faster
than the rival of that label; for the plain copy and read, the part of their speed that is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inputs import Size

Ours = Callable[[int], Any]
Goals = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Work:
    """A case at one size. ours: threads -> result, into arrays that are reused. moved: bytes that must be read and
    written. also: our own calls to compare with, by label. allocates: bytes of a result that cannot be reused."""

    inputs: Mapping[str, Any]
    ours: Ours
    oracle: Callable[[], Any]
    moved: int
    also: Mapping[str, Ours] = field(default_factory=dict)
    allocates: int = 0


@dataclass(frozen=True)
class Case:
    """kind: what the adapters know it by. measure: "relative" (largest difference over the largest value) or
    "fraction" (voxels that differ). tolerance: ours against the oracle. rivals: the same for a rival against ours."""

    name: str
    kind: str
    title: str
    convention: str
    build: Callable[[Size], Work]
    goals: Goals
    measure: str = "relative"
    tolerance: float = 2e-6
    rivals: float = 1e-4
    headline: bool = False
    note: str = ""
