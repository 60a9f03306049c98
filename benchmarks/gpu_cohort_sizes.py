"""Sizes of the GPU cohort; imports nothing that a GPU machine may lack."""

from __future__ import annotations

from dataclasses import dataclass

SPACING_MM = 0.2


@dataclass(frozen=True)
class Size:
    """scan and network input (z, y, x)."""

    scan: tuple[int, int, int]
    model: tuple[int, int, int]
    quick: bool = False


FULL = Size((320, 256, 200), (128, 128, 128))
QUICK = Size((40, 32, 24), (32, 32, 32), quick=True)
