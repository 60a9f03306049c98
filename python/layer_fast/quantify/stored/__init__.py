"""Definitions evaluated on what a run stored, without a volume: exact, with an error bound, or said to need volumes."""

from .evaluate import EXACT, HISTOGRAM, HOW, NEEDS_VOLUMES, Evaluated, evaluate
from .gain import Gain, gain
from .games import Games, games_of
from .long_rows import long_tables
from .maps import StoredMaps, stored_maps
from .on_subjects import OnSubjects, on_subjects
from .rederive import rederive

__all__ = [
    "EXACT", "HISTOGRAM", "HOW", "NEEDS_VOLUMES", "Evaluated", "Gain", "Games", "OnSubjects", "StoredMaps", "evaluate",
    "gain", "games_of", "long_tables", "on_subjects", "rederive", "stored_maps",
]  # fmt: skip
