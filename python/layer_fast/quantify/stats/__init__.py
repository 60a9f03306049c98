"""Cohort statistics on subject level, by SciPy and statsmodels where they have it. Tables in, tables out."""

from .api import MAP_DEFINITIONS, cohort_statistics, frame_of, statistics_of
from .long_table import LONG_COLUMNS, long_table, write_long

__all__ = [
    "LONG_COLUMNS", "MAP_DEFINITIONS", "cohort_statistics", "frame_of", "long_table", "statistics_of", "write_long",
]  # fmt: skip
