"""Definitions evaluated on what a run stored, without a volume: exact, with an error bound, or said to need volumes."""

from .evaluate import EXACT, HISTOGRAM, HOW, NEEDS_VOLUMES, Evaluated, evaluate
from .maps import StoredMaps, stored_maps

__all__ = ["EXACT", "HISTOGRAM", "HOW", "NEEDS_VOLUMES", "Evaluated", "StoredMaps", "evaluate", "stored_maps"]
