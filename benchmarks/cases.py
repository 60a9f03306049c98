"""The named cases of the ops, each written once."""

from __future__ import annotations

from case import Case, Work
from cases_layers import CASES as LAYERS
from cases_volumes import CASES as VOLUMES

__all__ = ["Case", "Work", "all_cases"]


def all_cases() -> dict[str, Case]:
    return {case.name: case for case in (*VOLUMES, *LAYERS)}
