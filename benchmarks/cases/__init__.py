"""The named cases of the ops, each written once."""

from __future__ import annotations

from cases.case import Case, Work
from cases.layers import CASES as LAYERS
from cases.volumes import CASES as VOLUMES

__all__ = ["Case", "Work", "all_cases"]


def all_cases() -> dict[str, Case]:
    return {case.name: case for case in (*VOLUMES, *LAYERS)}
